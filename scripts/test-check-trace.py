#!/usr/bin/env python3
"""Damages trace files in every way that check-trace.py looks for, and sees each one refused, by its reason.

    scripts/test-check-trace.py FILE...

The files must be good ones with slices, flows and counters. Needs what check-trace.py needs.
"""

import importlib.util
import json
import sys
from pathlib import Path

from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace, TrackEvent

place = Path(__file__).with_name("check-trace.py")
spec = importlib.util.spec_from_file_location("check_trace", place)
check_trace = importlib.util.module_from_spec(spec)
sys.modules["check_trace"] = check_trace
spec.loader.exec_module(check_trace)


def position(events, wanted, from_end=False):
    found = [nth for nth, event in enumerate(events) if wanted(event)]
    return found[-1 if from_end else 0]


def chrome_is(ph):
    return lambda event: event["ph"] == ph


def drop(ph, from_end=False):
    return lambda events: events.pop(position(events, chrome_is(ph), from_end))


def change(ph, **fields):
    return lambda events: events[position(events, chrome_is(ph), from_end=True)].update(fields)


def miscount(events):
    event = events[position(events, chrome_is("C"), from_end=True)]
    event["args"]["free"] += 1


# What is done to the events of a Chrome trace, and a word of why it is refused.
CHROME = [
    ("the last end is missing", drop("E", from_end=True), "never ends"),
    ("an end in between is missing", drop("E"), ""),
    ("a begin is missing", drop("B"), ""),
    ("a flow has no begin", drop("s"), "begins with"),
    ("a flow has no end", drop("f"), "has no end"),
    ("an end comes before its begin", change("E", ts=0.001), "time goes back"),
    (
        "a row has no name",
        lambda events: events.pop(position(events, lambda event: event.get("name") == "thread_name")),
        "no name",
    ),
    ("a set too many", miscount, "sets in all states"),
    ("a negative counter", change("C", args={"free": -1}), "-1"),
    ("a slice has no name", change("B", name=""), "has no name"),
]


def event_is(kind):
    return lambda packet: packet.HasField("track_event") and packet.track_event.type == kind


def drop_packet(wanted, from_end=False):
    return lambda packets: packets.pop(position(packets, wanted, from_end))


def edit(wanted, how, from_end=False):
    return lambda packets: how(packets[position(packets, wanted, from_end)])


BEGIN, END, COUNTER = (
    event_is(kind)
    for kind in (TrackEvent.TYPE_SLICE_BEGIN, TrackEvent.TYPE_SLICE_END, TrackEvent.TYPE_COUNTER)
)


def row(packet):
    return packet.track_descriptor.parent_uuid != 0 and not packet.track_descriptor.HasField("counter")


PERFETTO = [
    ("the last end is missing", drop_packet(END, from_end=True), "never ends"),
    ("a begin is missing", drop_packet(BEGIN), ""),
    (
        "a flow has no end",
        edit(
            lambda p: len(p.track_event.terminating_flow_ids),
            lambda p: p.track_event.ClearField("terminating_flow_ids"),
        ),
        "has no end",
    ),
    (
        "a flow ends that never began",
        edit(BEGIN, lambda p: p.track_event.terminating_flow_ids.append(1 << 60)),
        "one part",
    ),
    (
        "an end comes before its begin",
        edit(END, lambda p: setattr(p, "timestamp", 1), from_end=True),
        "time goes back",
    ),
    ("a row has no descriptor", drop_packet(row), "no name"),
    ("a row is nowhere", edit(row, lambda p: setattr(p.track_descriptor, "parent_uuid", 99)), "in no group"),
    (
        "a set too many",
        edit(COUNTER, lambda p: setattr(p.track_event, "counter_value", 7), from_end=True),
        "sets in all states",
    ),
    ("a negative counter", edit(COUNTER, lambda p: setattr(p.track_event, "counter_value", -1)), "-1"),
    ("no names", lambda packets: [p.ClearField("interned_data") for p in packets], "without a name"),
    (
        "a field of another number",
        edit(BEGIN, lambda p: p.track_event.MergeFromString(b"\xa0\x7d\x01")),
        "unknown fields",
    ),
    (
        "a packet of another sequence",
        edit(BEGIN, lambda p: setattr(p, "trusted_packet_sequence_id", 9)),
        "sequence",
    ),
]


def refused(see, trace):
    try:
        see(trace).check()
    except check_trace.Violation as violation:
        return str(violation)
    return None


def damage_chrome(data):
    for what, how, why in CHROME:
        trace = json.loads(data)
        how(trace["traceEvents"])
        yield what, refused(check_trace.see_chrome, trace), why
    for what, text in [
        ("cut short", data[:-5]),
        ("a comma too many", data.replace(b"\n]", b",\n]")),
        ("not a number", data.replace(b'"ts":0.0', b'"ts":NaN', 1)),
    ]:
        yield what, refused(check_trace.read_chrome, text), "not JSON" if "number" not in what else "NaN"


def damage_perfetto(data):
    for what, how, why in PERFETTO:
        trace = Trace.FromString(data)
        packets = list(trace.packet)
        how(packets)
        yield what, refused(check_trace.see_perfetto, Trace(packet=packets)), why
    yield "cut short", refused(check_trace.read_perfetto, data[:-1]), "not a Perfetto trace"


def main():
    missed = 0
    for path in sys.argv[1:]:
        data = Path(path).read_bytes()
        damage = damage_chrome if path.endswith(".json") else damage_perfetto
        n_damages = 0
        for what, violation, why in damage(data):
            n_damages += 1
            if violation is None or why not in violation:
                print(f"{path}: {what}: not refused as it should be: {violation}", file=sys.stderr)
                missed += 1
        print(f"{path}: {n_damages} damages tried")
    sys.exit(1 if missed else 0)


if __name__ == "__main__":
    main()
