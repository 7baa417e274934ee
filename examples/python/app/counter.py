# SPDX-License-Identifier: MIT
"""Counts words that are posted to it."""
import os
import pathlib

from flask import Flask, jsonify, request

KEY = pathlib.Path("/run/secrets/session_key")

app = Flask(__name__)
app.secret_key = KEY.read_text(encoding="utf-8") if KEY.exists() else "only for tests"
log = pathlib.Path(os.environ.get("STATE_DIR", "/tmp")) / "posted"


def count(text):
    """How often each word is in a text."""
    words = {}
    for word in text.lower().split():
        words[word] = words.get(word, 0) + 1
    return words


@app.get("/")
def page():
    posted = log.read_text(encoding="utf-8") if log.exists() else ""
    return jsonify(count(posted))


@app.post("/")
def post():
    with open(log, "a", encoding="utf-8") as f:
        f.write(request.get_data(as_text=True) + "\n")
    return page()
