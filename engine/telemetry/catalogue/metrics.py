"""The metrics of the catalogue, by area: exact counters, durations, and gauges that are sampled."""

from __future__ import annotations

from types import MappingProxyType

from engine.telemetry.catalogue.entry import Entry

COUNTERS = MappingProxyType(
    {
        # commands
        "citadel.commands": Entry("Commands ended, by outcome", ("pool", "outcome")),
        "citadel.command.attempts": Entry(
            "Commands tried again (retry) or twice at once (hedge)", ("pool", "kind")
        ),
        # workers
        "citadel.worker.starts": Entry("Worker processes started", ("pool",)),
        "citadel.worker.lost": Entry("Worker processes that died", ("pool",)),
        # sessions and streams
        "citadel.session.started": Entry("Sessions begun", ("pool",)),
        "citadel.session.ended": Entry("Sessions ended, by cause", ("pool", "cause")),
        "citadel.stream.items": Entry("Items of streams, by direction", ("pool", "direction")),
        # Sentinels, signals and missions
        "citadel.sentinel.signals": Entry("Signals handled", ("behaviour", "outcome")),
        "citadel.sentinel.restarts": Entry("Sentinel restarts", ("behaviour",)),
        "citadel.signal.dropped": Entry("Signals that were not handled", ("behaviour", "cause")),
        "citadel.missions": Entry("Missions ended, by state", ("kind", "state")),
        "citadel.mission.units": Entry("Units of work that missions ended", ("kind", "outcome")),
        # guards and providers
        "citadel.guard.verdicts": Entry("Verdicts of guards", ("layer", "decision")),
        "citadel.guard.requests": Entry("Requests that passed the chain", ("channel", "decision")),
        "citadel.provider.requests": Entry("Chat requests", ("provider", "outcome")),
        "citadel.provider.tokens": Entry(
            "Tokens of chat requests", ("provider", "direction"), "tokens"
        ),
        # the API
        "citadel.rpc.requests": Entry("gRPC calls ended", ("method", "code")),
        "citadel.incidents": Entry("Faults that the engine did not expect, by place", ("where",)),
        # telemetry itself
        "citadel.spans.started": Entry("Spans started"),
        "citadel.spans.kept": Entry("Spans kept"),
        "citadel.spans.dropped": Entry("Spans dropped, by cause", ("cause",)),
        "citadel.sampler.decisions": Entry("Traces decided, by fate", ("fate",)),
        "citadel.store.written": Entry("Spans that the store has written"),
        "citadel.store.lost": Entry("Spans that the store took and could not write"),
        "citadel.exporter.sent": Entry(
            "Spans, metric points and log records that a receiver acknowledged",
            ("exporter", "signal"),
        ),
        "citadel.exporter.dropped": Entry(
            "Spans, metric points and log records that an exporter lost, by cause",
            ("exporter", "cause"),
        ),
        "citadel.exporter.retries": Entry("Requests of an exporter sent again", ("exporter",)),
        "citadel.exporter.bytes": Entry(
            "Bytes that a receiver acknowledged, before compression", ("exporter",), "bytes"
        ),
        "citadel.events.dropped": Entry("Live rows that slow watchers missed"),
        "citadel.events.sampled_out": Entry("Events that a sampling rule dropped"),
        "citadel.scrape.errors": Entry("Parts of the metrics page that failed", ("part",)),
        # the engine's process
        "citadel.process.gc": Entry("Python's garbage collections", ("generation",)),
    }
)

DURATIONS = MappingProxyType(
    {
        "citadel.command.duration": Entry("Run time of commands in a worker", ("pool",), "seconds"),
        "citadel.command.queued": Entry("Time of commands in a queue", ("pool",), "seconds"),
        "citadel.guard.duration": Entry("Time of a guard layer", ("layer",), "seconds"),
        "citadel.provider.duration": Entry("Time of a chat request", ("provider",), "seconds"),
        "citadel.sentinel.handle": Entry(
            "Time a behaviour took to handle a signal", ("behaviour",), "seconds"
        ),
        "citadel.rpc.duration": Entry("Time of a gRPC call", ("method",), "seconds"),
    }
)

GAUGES = MappingProxyType(
    {
        # pools and queues
        "citadel.pool.queued": Entry("Commands in a queue", ("pool",)),
        "citadel.pool.running": Entry("Commands running", ("pool",)),
        "citadel.queue.limit": Entry("Commands that may wait", ("pool",)),
        "citadel.queue.wait": Entry(
            "Time that lately begun commands had waited: the median", ("pool",), "seconds"
        ),
        "citadel.pool.size": Entry("Workers that a pool is to have", ("pool",)),
        "citadel.pool.workers": Entry("Workers of a pool", ("pool", "state")),
        "citadel.pool.up": Entry("1 while a pool serves, else 0", ("pool",)),
        "citadel.pool.breaker": Entry(
            "Breaker of a pool: 0 closed, 1 half open, 2 open", ("pool",)
        ),
        "citadel.pool.sessions": Entry("Open sessions", ("pool",)),
        "citadel.pool.poisoned": Entry("Commands in quarantine", ("pool",)),
        "citadel.pool.slab": Entry("Shared memory that somebody has", ("pool",), "bytes"),
        "citadel.pool.leases": Entry("Values in shared memory that somebody has", ("pool",)),
        # workers, summed over a pool: a label for each would have no bound
        "citadel.worker.rss": Entry("Resident memory of a pool's workers", ("pool",), "bytes"),
        "citadel.worker.cpu": Entry("CPU of a pool's workers", ("pool",), "cores"),
        "citadel.worker.fds": Entry(
            "File descriptors, on Windows handles, of a pool's workers", ("pool",)
        ),
        "citadel.worker.threads": Entry("Threads of a pool's workers", ("pool",)),
        "citadel.worker.missed": Entry(
            "Heartbeats in a row that a pool's workers missed", ("pool",)
        ),
        # Sentinels and missions
        "citadel.sentinels": Entry("Sentinels, by state", ("state",)),
        "citadel.signal.waiting": Entry("Signals in mailboxes"),
        "citadel.missions.running": Entry("Missions that have not ended"),
        # telemetry itself
        "citadel.spans.in_flight": Entry("Spans that have not ended, or wait"),
        "citadel.spans.held": Entry("Spans in flight that wait for their trace's decision"),
        "citadel.spans.residual": Entry(
            "Spans started that are neither kept nor dropped nor in flight: 0, or a fault"
        ),
        "citadel.sampler.revision": Entry("Revision of the sampling policy in force"),
        "citadel.store.queue": Entry("Batches of spans that wait for the store"),
        "citadel.store.bytes": Entry("Size of the span store on disk", (), "bytes"),
        "citadel.exporter.queued": Entry(
            "Spans, metric points and log records that wait for an exporter", ("exporter",)
        ),
        "citadel.watchers": Entry("Clients that watch live"),
        # the engine's process
        "citadel.process.rss": Entry("Resident memory of the engine", (), "bytes"),
        "citadel.process.cpu": Entry("CPU of the engine", (), "cores"),
        "citadel.process.fds": Entry("Open file descriptors of the engine, on Windows handles"),
        "citadel.process.threads": Entry("Threads of the engine"),
        "citadel.process.loop_lag": Entry(
            "How late the event loop was at worst in the last second", (), "seconds"
        ),
    }
)
