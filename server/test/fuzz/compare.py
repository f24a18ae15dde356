"""Compares exported events with what Python's JSON parser says of the texts that were sent.

python3 compare.py SENT EXPORTED

SENT has a line of JSON for each event: id, text, and whether the server took it. EXPORTED is `daybook export --format ndjson`.
Numbers are the same when they are the same double: -0 is stored as 0, 1E2 as 100.
"""

import json
import math
import sys

SAFE = 2**53 - 1
FIELDS = ("event_name", "user_id", "session_id", "page", "country", "region", "city")
LISTED_MAX = 20


def storable(value):
    """Whether nothing in a parsed value is of those things that the server refuses, wherever they stand."""
    if isinstance(value, str):
        return "\0" not in value and not any("\ud800" <= char <= "\udfff" for char in value)
    if isinstance(value, bool) or value is None:
        return True
    if isinstance(value, (int, float)):
        return abs(value) <= SAFE
    if isinstance(value, list):
        return all(map(storable, value))
    return "__proto__" not in value and all(storable(key) and storable(item) for key, item in value.items())


def same(a, b):
    if isinstance(a, bool) or isinstance(b, bool) or a is None or b is None:
        return a is b
    if isinstance(a, (int, float)) and isinstance(b, (int, float)):
        return float(a) == float(b)
    if type(a) is not type(b):
        return False
    if isinstance(a, list):
        return len(a) == len(b) and all(map(same, a, b))
    if isinstance(a, dict):
        return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
    return a == b


def microseconds(seconds):
    return math.floor(seconds * 1e6 + 0.5)


def difference(event, exported):
    """The first field in which they differ, or None."""
    for field in FIELDS:
        if not same(event.get(field), exported.get(field)):
            return field
    if microseconds(event["event_time"]) != microseconds(exported["event_time"]):
        return "event_time"
    if not same(event.get("properties"), exported.get("properties")):
        return "properties"
    unknown = exported.keys() - {"type", "event_id", "event_time", "properties", *FIELDS}
    return f"unknown fields {unknown}" if unknown else None


def lines_by_id(path):
    """Where each exported event's line begins and how long it is; ids that come twice."""
    places, twice, at = {}, [], 0
    with open(path, "rb") as file:
        for line in file:
            event_id = json.loads(line)["event_id"]
            if event_id in places:
                twice.append(event_id)
            places[event_id] = (at, len(line))
            at += len(line)
    return places, twice


def main(sent_path, exported_path):
    places, twice = lines_by_id(exported_path)
    found = [{"id": event_id, "what": "exported twice"} for event_id in twice]
    sent = accepted = 0
    with open(sent_path, "rb") as file, open(exported_path, "rb") as exported:
        for line in file:
            entry = json.loads(line)
            event = json.loads(entry["text"])
            sent += 1
            accepted += entry["accepted"]
            place = places.pop(entry["id"], None)
            what = None
            if entry["accepted"] != storable(event):
                what = "taken" if entry["accepted"] else "refused"
            elif entry["accepted"] != (place is not None):
                what = "stored" if place else "not stored"
            elif place:
                exported.seek(place[0])
                what = difference(event, json.loads(exported.read(place[1])))
            if what is not None:
                found.append({"id": entry["id"], "what": what, "text": entry["text"]})
    found += [{"id": event_id, "what": "never sent"} for event_id in places]
    print(json.dumps({"sent": sent, "accepted": accepted, "differences": len(found), "first": found[:LISTED_MAX]}))


if __name__ == "__main__":
    sys.setrecursionlimit(10_000)
    main(sys.argv[1], sys.argv[2])
