# SPDX-License-Identifier: MIT
"""A list of products that is kept in PostgreSQL."""
import os
import pathlib

import psycopg2
from flask import Flask, jsonify, request

app = Flask(__name__)


def database():
    password = pathlib.Path("/run/secrets/db_password").read_text(encoding="utf-8")
    return psycopg2.connect(host=os.environ["DB_HOST"], user="shop", password=password, dbname="shop", connect_timeout=5)


@app.errorhandler(psycopg2.OperationalError)
def no_database(error):
    return jsonify(error=str(error)), 503


@app.get("/")
def products():
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("CREATE TABLE IF NOT EXISTS products (name text PRIMARY KEY, price integer NOT NULL)")
        cursor.execute("SELECT name, price FROM products ORDER BY name")
        return jsonify(products=[{"name": name, "price": price} for name, price in cursor.fetchall()])


@app.post("/")
def add():
    product = request.get_json()
    with database() as connection, connection.cursor() as cursor:
        cursor.execute("INSERT INTO products VALUES (%s, %s)", (product["name"], product["price"]))
    return products()
