#!/usr/bin/env python3
"""Checks trace files with code that nbuffer had no part in: Python's JSON, and Perfetto's own protocol buffers.

    scripts/check-trace.py [--track NAME]... [--flows N] FILE...

In each file every slice ends and nests, times on a track never go back, every track has a name, every flow has one
begin and one end, and the buffer sets in all states together are as many as there are. Files named .json are Chrome's
Trace Event Format; others are Perfetto's, which needs `pip install perfetto`. Says what it found, or what is wrong,
with exit status 1.
"""

import argparse
import json
import sys
from collections import defaultdict
from dataclasses import dataclass, field


class Violation(Exception):
    """Something in a file that must not be."""


def require(holds, what):
    if not holds:
        raise Violation(what)


@dataclass
class Track:
    """A row of slices and instants, with the slices that are open now."""

    name: str
    group: int
    last: float = 0
    open: list = field(default_factory=list)
    slices: int = 0
    instants: int = 0

    def at(self, time):
        require(time >= self.last, f"track `{self.name}`: time goes back from {self.last} to {time}")
        self.last = time

    def begin(self, time, name):
        self.at(time)
        require(name, f"track `{self.name}`: a slice at {time} has no name")
        self.open.append((name, time))
        self.slices += 1

    def end(self, time, name=None):
        self.at(time)
        require(self.open, f"track `{self.name}`: an end at {time} without a begin")
        begun, start = self.open.pop()
        require(name in (None, begun), f"track `{self.name}`: `{name}` ends at {time} inside `{begun}`")
        require(time >= start, f"track `{self.name}`: `{begun}` from {start} to {time}")


@dataclass
class Seen:
    """What a file holds, whatever its format."""

    tracks: dict = field(default_factory=dict)
    groups: dict = field(default_factory=dict)
    counter_groups: dict = field(default_factory=dict)
    # Of each counter group its series, each with its values in the order of time.
    counters: dict = field(default_factory=lambda: defaultdict(lambda: defaultdict(list)))
    # Of each flow the parts in the order of the file: "first", "between", "last", or "part" where the format does
    # not tell a first one from one between.
    flows: dict = field(default_factory=lambda: defaultdict(list))

    def track(self, key):
        require(key in self.tracks, f"an event on track {key}, which has no name")
        return self.tracks[key]

    def declare(self, where, key, name, new):
        require(name, f"track {key} has no name")
        require(key not in where, f"track {key} (`{name}`) is declared twice")
        where[key] = new

    def count(self, group, series, time, value):
        require(isinstance(value, int) and value >= 0, f"counter `{group}`, `{series}`: {value!r} at {time}")
        values = self.counters[group][series]
        require(not values or time >= values[-1][0], f"counter `{group}`: time goes back to {time}")
        values.append((time, value))

    def check(self):
        """What can only be said once all is there."""
        for track in self.tracks.values():
            for name, start in track.open:
                raise Violation(f"track `{track.name}`: `{name}`, begun at {start}, never ends")
        for flow, parts in self.flows.items():
            require(len(parts) >= 2, f"flow {flow} has one part, `{parts[0]}`: it needs a begin and an end")
            require(parts[0] in ("first", "part"), f"flow {flow} begins with its `{parts[0]}` part")
            require(parts[-1] == "last", f"flow {flow} has no end")
            between = [part for part in parts[1:-1] if part not in ("between", "part")]
            require(not between, f"flow {flow} begins or ends more than once: {parts}")
        pools = 0
        for group, series in self.counters.items():
            if "free" in series:
                check_pool(group, series, self.counters.get(number_of(group)))
                pools += 1
        return pools


def number_of(group):
    """The counter that says how many sets a group's counters share out."""
    pid, name = group
    return pid, f"number of {name}"


def check_pool(group, series, number):
    """The sets in all states are as many as there are; more only while none is free, since a ring shrinks."""
    require(number, f"counters `{group[1]}` have no `number of {group[1]}`")
    changes = [(time, name, value) for name, values in {**series, **number}.items() for time, value in values]
    # Values of one counter at one time stay in their order.
    changes.sort(key=lambda change: change[:1])
    now = {}
    for nth, (time, name, value) in enumerate(changes):
        now[name] = value
        if nth + 1 < len(changes) and changes[nth + 1][0] == time:
            continue
        in_states = sum(value for name, value in now.items() if name != "N")
        wanted = now.get("N", 0)
        holds = in_states == wanted or in_states > wanted and now.get("free") == 0
        require(holds, f"counters `{group[1]}` at {time}: {in_states} sets in all states, of {wanted}: {now}")


def no_twins(pairs):
    require(len({name for name, _ in pairs}) == len(pairs), f"a JSON object with a name twice: {pairs}")
    return dict(pairs)


def not_a_number(text):
    raise Violation(f"`{text}` is not JSON")


def read_chrome(data):
    """Chrome's Trace Event Format, as strictly as JSON goes."""
    try:
        trace = json.loads(data.decode(), object_pairs_hook=no_twins, parse_constant=not_a_number)
    except ValueError as error:
        raise Violation(f"not JSON: {error}") from error
    try:
        return see_chrome(trace)
    except (KeyError, TypeError) as error:
        raise Violation(f"not a trace: {error!r} is missing somewhere, or is of another type") from error


def see_chrome(trace):
    seen = Seen()
    for event in trace["traceEvents"]:
        ph, pid, time = event["ph"], event["pid"], event.get("ts")
        key = (pid, event.get("tid"))
        require(ph == "M" or isinstance(time, (int, float)) and time >= 0, f"no time: {event}")
        if ph == "M":
            if event["name"] == "thread_name":
                name = event["args"]["name"]
                seen.declare(seen.tracks, key, name, Track(name, pid))
            elif event["name"] == "process_name":
                seen.declare(seen.groups, pid, event["args"]["name"], event["args"]["name"])
            else:
                require(event["name"] in ("thread_sort_index", "process_sort_index"), f"unknown: {event}")
        elif ph == "B":
            seen.track(key).begin(time, event.get("name"))
        elif ph == "E":
            seen.track(key).end(time, event.get("name"))
        elif ph == "i":
            track = seen.track(key)
            track.at(time)
            track.instants += 1
        elif ph == "C":
            for series, value in event["args"].items():
                seen.count((pid, event["name"]), series, time, value)
        elif ph in "stf":
            track = seen.track(key)
            track.at(time)
            require(track.open, f"flow {event['id']}: no slice around its `{ph}` at {time} on `{track.name}`")
            require(ph != "f" or event.get("bp") == "e", f"flow {event['id']} ends at the next slice")
            part = {"s": "first", "t": "between", "f": "last"}[ph]
            seen.flows[event["cat"], event["name"], event["id"]].append(part)
        else:
            raise Violation(f"an event of unknown kind: {event}")
    for key in list(seen.tracks) + list(seen.counters):
        require(key[0] in seen.groups, f"process {key[0]} has no name")
    return seen


def read_perfetto(data):
    """Perfetto's protocol buffers."""
    from google.protobuf.message import DecodeError
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import Trace

    trace = Trace()
    try:
        trace.ParseFromString(data)
    except DecodeError as error:
        raise Violation(f"not a Perfetto trace: {error}") from error
    return see_perfetto(trace)


def see_perfetto(trace):
    from perfetto.protos.perfetto.trace.perfetto_trace_pb2 import TracePacket, TrackEvent

    seen = Seen()
    names, arg_names = {}, {}
    counters = {}
    require(len(trace.packet) > 0, "no packets")
    cleared = TracePacket.SEQ_INCREMENTAL_STATE_CLEARED
    require(trace.packet[0].sequence_flags & cleared, "the first packet does not begin a sequence")
    sequence = trace.packet[0].trusted_packet_sequence_id
    for packet in trace.packet:
        no_unknown_fields(packet)
        same = packet.trusted_packet_sequence_id == sequence != 0
        require(same, f"a packet of sequence {packet.trusted_packet_sequence_id}")
        for known, new in (
            (names, packet.interned_data.event_names),
            (arg_names, packet.interned_data.debug_annotation_names),
        ):
            for name in new:
                require(name.iid and name.iid not in known, f"name {name.iid} (`{name.name}`) is given twice")
                known[name.iid] = name.name
        if packet.HasField("track_descriptor"):
            describe(seen, counters, packet.track_descriptor)
        if not packet.HasField("track_event"):
            continue
        event, time = packet.track_event, packet.timestamp
        require(packet.HasField("timestamp"), f"no time: {event}")
        if event.type == TrackEvent.TYPE_COUNTER:
            require(event.track_uuid in counters, f"a value of counter {event.track_uuid}, which has no name")
            group, series = counters[event.track_uuid]
            seen.count(group, series, time, event.counter_value)
            continue
        track = seen.track(event.track_uuid)
        for arg in event.debug_annotations:
            require(arg.name or arg.name_iid in arg_names, f"an argument without a name: {event}")
        name = event.name or names.get(event.name_iid)
        if event.type == TrackEvent.TYPE_SLICE_BEGIN:
            track.begin(time, name)
        elif event.type == TrackEvent.TYPE_SLICE_END:
            track.end(time)
        else:
            require(event.type == TrackEvent.TYPE_INSTANT and name, f"an event of unknown kind: {event}")
            track.at(time)
            track.instants += 1
        for flow in event.flow_ids:
            seen.flows[flow].append("part")
        for flow in event.terminating_flow_ids:
            seen.flows[flow].append("last")
    return seen


def describe(seen, counters, track):
    """One track's descriptor."""
    if track.uuid == 0:
        return
    if track.HasField("process"):
        seen.declare(seen.groups, track.uuid, track.process.process_name, track.process.process_name)
        return
    if track.HasField("counter"):
        # The series of one group of counters are tracks below one that bears its name, and no slices.
        parent = seen.tracks.pop(track.parent_uuid, None)
        name = (parent.group, parent.name) if parent else seen.counter_groups.get(track.parent_uuid)
        require(name, f"counter {track.uuid} (`{track.name}`) has no parent")
        seen.counter_groups[track.parent_uuid] = name
        seen.declare(counters, track.uuid, track.name, (name, track.name))
        return
    require(track.parent_uuid in seen.groups, f"track {track.uuid} (`{track.name}`) is in no group")
    seen.declare(seen.tracks, track.uuid, track.name, Track(track.name, track.parent_uuid))


def no_unknown_fields(message):
    """A wrong field number would be skipped without a word."""
    from google.protobuf.unknown_fields import UnknownFieldSet

    unknown = [part.field_number for part in UnknownFieldSet(message)]
    require(not unknown, f"{message.DESCRIPTOR.name} has unknown fields {unknown}")
    for descriptor, value in message.ListFields():
        if descriptor.type == descriptor.TYPE_MESSAGE:
            for part in value if hasattr(value, "append") or hasattr(value, "add") else [value]:
                no_unknown_fields(part)


def report(path, seen, pools, args):
    """Says what a file holds, and whether that is what was asked for."""
    names = {track.name for track in seen.tracks.values()}
    missing = [name for name in args.track if name not in names]
    require(not missing, f"no track `{missing[0] if missing else ''}`; there are {', '.join(sorted(names))}")
    require(args.flows in (None, len(seen.flows)), f"{len(seen.flows)} flows, not {args.flows}")
    slices = sum(track.slices for track in seen.tracks.values())
    instants = sum(track.instants for track in seen.tracks.values())
    values = sum(len(values) for series in seen.counters.values() for values in series.values())
    print(
        f"{path}: {len(seen.groups)} groups, {len(seen.tracks)} tracks, {slices} slices, {instants} instants, "
        f"{len(seen.flows)} flows, {values} values of {len(seen.counters)} counters, {pools} kinds of buffer sets"
    )


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--track", action="append", default=[], metavar="NAME", help="a track there must be")
    parser.add_argument("--flows", type=int, metavar="N", help="how many flows there must be")
    parser.add_argument("file", nargs="+")
    args = parser.parse_args()
    failed = False
    for path in args.file:
        try:
            with open(path, "rb") as file:
                data = file.read()
            seen = read_chrome(data) if path.endswith(".json") else read_perfetto(data)
            report(path, seen, seen.check(), args)
        except Violation as violation:
            print(f"{path}: {violation}", file=sys.stderr)
            failed = True
    sys.exit(1 if failed else 0)


if __name__ == "__main__":
    main()
