// Memory that steps use while they run and leave to the next one: graft's kernels and oneDNN's alike.

import CDNNL

/// Memory that steps use while they run and leave to the next one.
///
/// It belongs to a plan and not to a thread, so that any thread may run the plan.
final class Scratch {
    private(set) var buffer: Buffer?

    /// Makes room for this many floats.
    func reserve(_ count: Int) { reserve(byteCount: count * 4) }

    /// Makes room for this many bytes.
    func reserve(byteCount: Int) {
        if (buffer?.byteCount ?? 0) < byteCount { buffer = Buffer(byteCount: byteCount) }
    }

    var byteCount: Int { buffer?.byteCount ?? 0 }
    var floats: UnsafeMutablePointer<Float>? { buffer?.floats(0).baseAddress }
}

/// The scratch memory of an engine as one primitive sees it.
final class Workspace {
    let handle: dnnl_memory_t
    private var place: UnsafeMutableRawPointer?

    init(_ descriptor: Descriptor, in engine: Engine) throws(ExecutionError) {
        engine.scratch.reserve(byteCount: descriptor.byteCount)
        let place = engine.scratch.buffer?.pointer
        var memory: dnnl_memory_t?
        try check(
            descriptor.withPointer { graft_memory_create(&memory, $0, engine.engine, place) },
            "create a memory")
        guard let memory else { throw .library("create a memory", code: 0) }
        handle = memory
        self.place = place
    }

    /// Tells oneDNN where the memory is now: it moves when a later primitive needs more.
    func follow(_ scratch: Scratch) throws(ExecutionError) {
        guard place != scratch.buffer?.pointer else { return }
        place = scratch.buffer?.pointer
        try check(dnnl_memory_set_data_handle(handle, place), "place a memory")
    }

    deinit { dnnl_memory_destroy(handle) }
}
