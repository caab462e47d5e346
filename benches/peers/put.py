"""`put.py FILE URL`: the upload as Python requests does it from an open file."""
import sys

import requests

with open(sys.argv[1], "rb") as file:
    requests.put(sys.argv[2], data=file, timeout=600).raise_for_status()
