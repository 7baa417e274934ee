// SPDX-License-Identifier: MIT
// Shows notes.md as a page; both packages come from npm.
const fs = require('fs')
const express = require('express')
const { marked } = require('marked')

const settings = JSON.parse(fs.readFileSync('/etc/notes/settings.json', 'utf8'))
const app = express()

app.get('/', (request, response) => {
  const notes = marked.parse(fs.readFileSync(`${__dirname}/notes.md`, 'utf8'))
  response.send(`<!doctype html><title>${settings.title}</title>${notes}`)
})

app.get('/api/greeting', (request, response) => {
  response.json({ greeting: 'hello', title: settings.title })
})

app.listen(3000, () => console.log('listening on port 3000'))
process.on('SIGTERM', () => process.exit(0))
