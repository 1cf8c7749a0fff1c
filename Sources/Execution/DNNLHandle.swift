// Owners of oneDNN's objects, each freed once, and the check that turns a status into an error.

import CDNNL
import GraftNetworks
import GraftTensors

/// Turns oneDNN's status into an error that names what was done.
func check(_ status: dnnl_status_t, _ what: @autoclosure () -> String) throws(ExecutionError) {
    guard status == dnnl_success else { throw .library(what(), code: Int(status.rawValue)) }
}

/// The processor and its one queue of work.
final class Engine {
    let engine: dnnl_engine_t
    let stream: dnnl_stream_t
    /// The attributes of a primitive that has no others.
    let attributes: dnnl_primitive_attr_t
    /// Memory that a primitive, or a kernel of graft's, uses while it runs and leaves to the next one.
    let scratch = Scratch()

    init() throws(ExecutionError) {
        var engine: dnnl_engine_t?
        try check(dnnl_engine_create(&engine, dnnl_cpu, 0), "create the engine")
        guard let engine else { throw .library("create the engine", code: 0) }
        var stream: dnnl_stream_t?
        let status = dnnl_stream_create(
            &stream, engine, UInt32(dnnl_stream_default_flags.rawValue))
        guard status == dnnl_success, let stream else {
            dnnl_engine_destroy(engine)
            throw .library("create the stream", code: Int(status.rawValue))
        }
        var attributes: dnnl_primitive_attr_t?
        let made = graft_attr_plain(&attributes)
        guard made == dnnl_success, let attributes else {
            dnnl_stream_destroy(stream)
            dnnl_engine_destroy(engine)
            throw .library("create attributes", code: Int(made.rawValue))
        }
        self.engine = engine
        self.stream = stream
        self.attributes = attributes
    }

    deinit {
        dnnl_primitive_attr_destroy(attributes)
        dnnl_stream_destroy(stream)
        dnnl_engine_destroy(engine)
    }
}

/// The layout of numbers in memory.
final class Descriptor {
    private(set) var value: graft_md

    init(taking value: graft_md) { self.value = value }

    /// These dims with these strides.
    init(
        _ dims: [Int], strides: [Int], type: dnnl_data_type_t = dnnl_f32
    ) throws(ExecutionError) {
        value = graft_md()
        try check(
            graft_md_create(
                &value, Int32(dims.count), dims.map(Int64.init), strides.map(Int64.init), type),
            "describe \(dims)")
    }

    /// Row-major.
    static func plain(
        _ dims: [Int], type: dnnl_data_type_t = dnnl_f32
    ) throws(ExecutionError) -> Descriptor {
        // A scalar lies as one element.
        let dims = dims.isEmpty ? [1] : dims
        var strides = [Int](repeating: 1, count: dims.count)
        for axis in stride(from: dims.count - 2, through: 0, by: -1) {
            strides[axis] = strides[axis + 1] * dims[axis + 1]
        }
        return try Descriptor(dims, strides: strides, type: type)
    }

    /// (N, C, H, W) with the channels innermost.
    static func channelsLast(
        _ d: [Int], type: dnnl_data_type_t = dnnl_f32
    ) throws(ExecutionError) -> Descriptor {
        try Descriptor(d, strides: [d[1] * d[2] * d[3], 1, d[3] * d[1], d[1]], type: type)
    }

    /// (N, C, H, W) with the channels in blocks, innermost.
    static func blocked(_ d: [Int], by block: Int) throws(ExecutionError) -> Descriptor {
        var value = graft_md()
        try check(
            graft_md_create_blocked(&value, d.map(Int64.init), Int32(block)), "describe \(d)")
        return Descriptor(taking: value)
    }

    /// Whatever is fastest.
    static func any(
        _ dims: [Int], type: dnnl_data_type_t = dnnl_f32
    ) throws(ExecutionError) -> Descriptor {
        var value = graft_md()
        try check(
            graft_md_create_any(&value, Int32(dims.count), dims.map(Int64.init), type),
            "describe \(dims)")
        return Descriptor(taking: value)
    }

    /// A box inside this layout: `dims` elements from `offsets` on.
    func part(_ dims: [Int], offsets: [Int]) throws(ExecutionError) -> Descriptor {
        var value = graft_md()
        let status = withPointer {
            graft_md_part(&value, $0, dims.map(Int64.init), offsets.map(Int64.init))
        }
        try check(status, "describe a part of \(dims)")
        return Descriptor(taking: value)
    }

    /// The type of the numbers.
    var type: dnnl_data_type_t { withPointer { graft_md_type($0) } }

    deinit { graft_md_destroy(&value) }

    var byteCount: Int { withUnsafePointer(to: value) { graft_md_size($0) } }

    /// The layout in words that are the same in every run; nil if that cannot be said.
    var text: String? {
        var bytes = [CChar](repeating: 0, count: 1024)
        guard withPointer({ graft_md_text($0, &bytes, bytes.count) }) != 0 else { return nil }
        return String(
            decoding: bytes.prefix { $0 != 0 }.map(UInt8.init(bitPattern:)), as: UTF8.self)
    }

    func withPointer<R>(_ body: (UnsafePointer<graft_md>) throws -> R) rethrows -> R {
        // A read, so that one descriptor can be lent twice at a time.
        try withUnsafePointer(to: value, body)
    }

    static func == (a: Descriptor, b: Descriptor) -> Bool {
        a.withPointer { a in b.withPointer { b in graft_md_equal(a, b) != 0 } }
    }
}

/// Memory that vector instructions can load: its own, a place in a plan's block, or a part of a file.
final class Buffer {
    private(set) var pointer: UnsafeMutableRawPointer
    let byteCount: Int
    /// Whether the memory is this buffer's own and goes with it.
    private let isOwn: Bool
    /// The owner of the memory.
    private var owner: AnyObject?
    /// The memories that must hear of the place, until there is one.
    fileprivate var waiting: [WeakMemory]?

    /// Memory of its own, zero at first.
    init(byteCount: Int) {
        self.byteCount = max(byteCount, 64)
        isOwn = true
        pointer = .allocate(byteCount: self.byteCount, alignment: 64)
        pointer.initializeMemory(as: UInt8.self, repeating: 0, count: self.byteCount)
    }

    /// Memory that an arena will give a place.
    init(unplaced byteCount: Int) {
        self.byteCount = max(byteCount, 64)
        isOwn = false
        // No step runs before the place is known; who reads too early fails at once.
        pointer = UnsafeMutableRawPointer(bitPattern: 64) ?? .allocate(byteCount: 64, alignment: 64)
        waiting = []
    }

    /// Memory that `owner` keeps and no step writes to.
    init(reading pointer: UnsafeRawPointer, byteCount: Int, of owner: AnyObject) {
        self.byteCount = byteCount
        isOwn = false
        self.pointer = UnsafeMutableRawPointer(mutating: pointer)
        self.owner = owner
    }

    func place(in block: Block, at offset: Int) {
        pointer = block.pointer + offset
        owner = block
        for memory in waiting ?? [] { memory.value?.update() }
        waiting = nil
    }

    deinit { if isOwn { pointer.deallocate() } }

    func floats(_ count: Int) -> UnsafeMutableBufferPointer<Float> {
        UnsafeMutableBufferPointer(
            start: pointer.assumingMemoryBound(to: Float.self), count: count)
    }
}

private struct WeakMemory {
    weak var value: Memory?
}

/// Numbers in a buffer, as a descriptor lays them out.
final class Memory {
    let descriptor: Descriptor
    let buffer: Buffer
    let handle: dnnl_memory_t
    /// The layout as graft's own loops take it, if that was settled when it was made.
    var layout: MapLayout?
    /// The scale of its numbers of eight bits; nil if they are floats.
    var quantum: Quantum?

    init(
        _ descriptor: Descriptor, in buffer: Buffer, of engine: Engine
    ) throws(ExecutionError) {
        self.descriptor = descriptor
        self.buffer = buffer
        precondition(buffer.byteCount >= descriptor.byteCount)
        let isPlaced = buffer.waiting == nil
        var memory: dnnl_memory_t?
        try check(
            descriptor.withPointer {
                graft_memory_create(
                    &memory, $0, engine.engine, isPlaced ? buffer.pointer : nil)
            }, "create a memory")
        guard let memory else { throw .library("create a memory", code: 0) }
        handle = memory
        if !isPlaced { buffer.waiting?.append(WeakMemory(value: self)) }
    }

    /// Tells oneDNN where the numbers are.
    fileprivate func update() { dnnl_memory_set_data_handle(handle, buffer.pointer) }

    deinit { dnnl_memory_destroy(handle) }
}

/// A compiled operation.
final class Primitive {
    let description: dnnl_primitive_desc_t
    /// The layer that it computes or helps to compute.
    var node = ""
    /// The multiplications and additions of a run.
    var operations = 0.0
    private let primitive: dnnl_primitive_t
    /// Its place in the engine's scratch memory; nil if it needs none.
    private var workspace: Workspace?

    /// Compiles what `describe` describes; nil from it is an error named `what`.
    init(
        _ what: String, on engine: Engine,
        _ describe: (inout dnnl_primitive_desc_t?) -> dnnl_status_t
    ) throws(ExecutionError) {
        var description: dnnl_primitive_desc_t?
        try check(describe(&description), what)
        guard let description else { throw .library(what, code: 0) }
        var primitive: dnnl_primitive_t?
        let status = dnnl_primitive_create(&primitive, description)
        guard status == dnnl_success, let primitive else {
            dnnl_primitive_desc_destroy(description)
            throw .library(what, code: Int(status.rawValue))
        }
        self.description = description
        self.primitive = primitive
        var room = graft_md()
        guard graft_query_md(description, dnnl_query_scratchpad_md, 0, &room) == dnnl_success else {
            return  // None.
        }
        let scratch = Descriptor(taking: room)
        if scratch.byteCount > 0 { workspace = try Workspace(scratch, in: engine) }
    }

    deinit {
        dnnl_primitive_destroy(primitive)
        dnnl_primitive_desc_destroy(description)
    }

    /// The layout that it wants for an argument.
    func descriptor(_ query: dnnl_query_t, _ index: Int32 = 0) throws(ExecutionError) -> Descriptor
    {
        var value = graft_md()
        try check(graft_query_md(description, query, index, &value), "query a layout")
        return Descriptor(taking: value)
    }

    /// oneDNN's name for the code that it runs: `jit:avx2`, `ref:any`…
    var implementation: String { String(cString: graft_impl_info(description)) }

    func run(
        on engine: Engine, with arguments: [(Int32, Memory)]
    ) throws(ExecutionError) {
        try run(on: engine, with: bind(arguments))
    }

    /// The arguments with the scratch memory that goes with them.
    func bind(_ arguments: [(Int32, Memory)]) -> BoundArguments {
        BoundArguments(arguments, workspace: workspace)
    }

    func run(on engine: Engine, with arguments: BoundArguments) throws(ExecutionError) {
        try workspace?.follow(engine.scratch)
        try check(
            dnnl_primitive_execute(
                primitive, engine.stream, Int32(arguments.list.count), arguments.list),
            "run a primitive")
    }
}

/// The arguments of a primitive as it takes them, and the memories that must live as long.
struct BoundArguments {
    let list: [dnnl_exec_arg_t]
    /// Those of values.
    let memories: [Memory]

    fileprivate init(_ arguments: [(Int32, Memory)], workspace: Workspace?) {
        list =
            arguments.map { dnnl_exec_arg_t(arg: $0.0, memory: $0.1.handle) }
            + (workspace.map { [dnnl_exec_arg_t(arg: DNNL_ARG_SCRATCHPAD, memory: $0.handle)] }
                ?? [])
        memories = arguments.map(\.1)
    }
}
