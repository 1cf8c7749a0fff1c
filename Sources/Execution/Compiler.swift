// What inference and training share: values, weights, layouts and the list of steps.

import CDNNL
import GraftNetworks
import GraftTensors

/// Builds a list of steps, each one primitive or one loop over plain numbers.
final class Compiler {
    let engine: Engine
    let graph: Graph
    /// The types of every node's values.
    let types: [[ValueType]]
    /// The shape of every node's first value.
    let shapes: [Shape]
    private let weights: StateDict
    /// Weights that several nodes read.
    let shared: SharedParameters
    let options: ExecutionOptions
    /// The number of threads that run the steps, whichever thread asks for it.
    let threads: Int
    /// Memory that every step may use while it runs.
    var scratch: Scratch { engine.scratch }
    /// Weights that a step transforms for itself.
    let transformed = Scratch()
    var steps: [Step] = []
    /// The memory of all values.
    let arena = Arena()
    /// Weights prepared in an earlier run, and those prepared in this one.
    let planFile: PlanFile?

    init(
        graph: Graph, weights: StateDict, inputs: [ValueType], options: ExecutionOptions = .init(),
        planFile: PlanFile? = nil
    ) throws {
        engine = try Engine()
        threads = Threads.resolved(options.threads)
        self.planFile = planFile
        self.options = options
        var separated = graph
        shared = SharedParameters(separatingIn: &separated)
        self.graph = separated
        self.weights = weights
        types = try graph.types(inputs: inputs)
        shapes = types.map { $0[0].shape }
    }

    /// The numbers of a parameter, checked against the graph.
    func weight(_ parameter: Parameter) throws -> [Float] {
        let name = shared.origin(of: parameter.name)
        guard let tensor = weights[name], tensor.shape == parameter.shape else {
            throw ExecutionError.weight(
                name, expected: parameter.shape, found: weights[name]?.shape)
        }
        return try tensor.load().floats
    }

    /// A parameter as it was given.
    func original(_ parameter: Parameter) -> LazyTensor? {
        weights[shared.origin(of: parameter.name)]
    }

    func memory(_ descriptor: Descriptor) throws -> Memory {
        try Memory(descriptor, in: arena.take(descriptor.byteCount), of: engine)
    }

    /// Memory of its own that lasts: weights and gradients.
    func constant(_ numbers: [Float], dims: [Int]) throws -> Memory {
        let memory = try Memory(
            .plain(dims), in: Buffer(byteCount: numbers.count * 4), of: engine)
        _ = memory.buffer.floats(numbers.count).update(from: numbers)
        return memory
    }

    /// The value in another layout: itself if it lies so already, else a reorder step.
    func reordered(_ value: Memory, to descriptor: Descriptor) throws -> Memory {
        guard !(value.descriptor == descriptor) else { return value }
        let target = try memory(descriptor)
        try reorder(value, into: target)
        return target
    }

    func reorder(_ value: Memory, into target: Memory) throws {
        let primitive = try reorderPrimitive(from: value.descriptor, to: target.descriptor)
        append(primitive, with: [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, target)], as: "reorder")
    }

    func reorderPrimitive(from: Descriptor, to: Descriptor) throws -> Primitive {
        try Primitive("reorder", on: engine) { pd in
            from.withPointer { from in
                to.withPointer { graft_reorder(&pd, engine.engine, from, $0, engine.attributes) }
            }
        }
    }

    /// A constant under a name, in the layout that a primitive wants: from the plan file, or made
    /// now and kept there.
    func kept(_ name: String, as descriptor: Descriptor, _ make: () throws -> Memory) throws
        -> Memory
    {
        guard let planFile, let text = descriptor.text else {
            return try prepared(try make(), as: descriptor)
        }
        let buffer = try planFile.buffer("\(name) \(text)", byteCount: descriptor.byteCount) {
            try prepared(try make(), as: descriptor).buffer
        }
        return try Memory(descriptor, in: buffer, of: engine)
    }

    /// A constant in the layout that a primitive wants, reordered now and once.
    func prepared(_ value: Memory, as descriptor: Descriptor) throws -> Memory {
        guard !(value.descriptor == descriptor) else { return value }
        let target = try Memory(
            descriptor, in: Buffer(byteCount: descriptor.byteCount), of: engine)
        try reorderPrimitive(from: value.descriptor, to: descriptor).run(
            on: engine, with: [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, target)])
        dnnl_stream_wait(engine.stream)
        return target
    }

    /// The value of this shape row-major, under another shape of equal count if one is given.
    func plain(_ value: Memory, of shape: Shape, as view: Shape? = nil) throws -> Memory {
        let rowMajor = try reordered(value, to: .plain(shape.dimensions))
        guard let view, view != shape else { return rowMajor }
        return try Memory(.plain(view.dimensions), in: rowMajor.buffer, of: engine)
    }

    /// The value of this shape, row-major as another of equal count; as it lies if that is its own.
    func plain(_ value: Memory, of shape: Shape, unless view: Shape) throws -> Memory {
        shape == view ? value : try plain(value, of: shape, as: view)
    }

    /// Appends a primitive. Its list of arguments is made here and once.
    func append(
        _ primitive: Primitive, with arguments: [(Int32, Memory)], as name: String? = nil
    ) {
        let engine = engine
        let bound = primitive.bind(arguments)
        append(
            name ?? primitive.node, by: primitive.implementation,
            operations: primitive.operations, uses: bound.memories
        ) { try primitive.run(on: engine, with: bound) }
    }

    /// Appends a step other than a primitive of oneDNN. `uses` are all values that it reads or writes:
    /// their memory is another's before the first step that uses them and after the last.
    func append(
        _ name: String, by algorithm: String, operations: Double = 0, uses: [Memory],
        bytes: Int? = nil, _ run: @escaping () throws -> Void
    ) {
        for memory in uses { arena.use(memory.buffer, at: steps.count) }
        steps.append(
            Step(
                node: name, algorithm: algorithm, operations: operations,
                byteCount: bytes ?? uses.reduce(0) { $0 + $1.descriptor.byteCount }, run: run))
    }

    /// Appends a loop over plain numbers, once all that runs before it is done.
    func loop(_ name: String, uses: [Memory], _ body: @escaping () throws -> Void) {
        let engine = engine
        append(name, by: "loop", uses: uses) {
            try check(dnnl_stream_wait(engine.stream), "finish")
            try body()
        }
    }

    /// Appends a loop that reads row-major values and writes one.
    ///
    /// `sources` come with their shapes; they are reordered if they lie otherwise.
    func rowMajorLoop(
        _ name: String, reading sources: [(value: Memory, shape: Shape)], writing shape: Shape,
        _ body: @escaping ([Floats], Floats) -> Void
    ) throws -> Memory {
        let x = try sources.map { try plain($0.value, of: $0.shape) }
        let y = try memory(.plain(shape.dimensions))
        let counts = sources.map { $0.shape.count }
        loop(name, uses: x + [y]) {
            body(zip(x, counts).map { $0.buffer.floats($1) }, y.buffer.floats(shape.count))
        }
        return y
    }

    func wait() throws {
        try check(dnnl_stream_wait(engine.stream), "finish")
    }

    /// Copies row-major numbers out of a memory, running one reorder if it lies otherwise.
    func read(_ value: Memory, of shape: Shape) throws -> Tensor {
        let plain = try Descriptor.plain(shape.dimensions)
        var source = value
        if !(value.descriptor == plain) {
            source = try Memory(plain, in: Buffer(byteCount: plain.byteCount), of: engine)
            try reorderPrimitive(from: value.descriptor, to: plain).run(
                on: engine, with: [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, source)])
            try wait()
        }
        return Tensor(shape: shape) {
            _ = $0.update(fromContentsOf: source.buffer.floats(shape.count))
        }
    }

    /// The geometry of a window over a map, as oneDNN takes it.
    func window(_ window: Window, input: Shape, output: Shape, extra: Padding = .zero)
        -> graft_window
    {
        var padding = window.resolvedPadding(
            height: input[2] + extra.top + extra.bottom, width: input[3] + extra.left + extra.right)
        padding.top += extra.top
        padding.left += extra.left
        // What the last window reaches over the edge; less than the padding if rounding cut it.
        func after(_ axis: Int, _ size: KeyPath<Extent, Int>, _ before: Int) -> Int64 {
            let span = window.dilation[keyPath: size] * (window.kernel[keyPath: size] - 1) + 1
            return Int64(
                (output[axis] - 1) * window.stride[keyPath: size] + span - input[axis] - before)
        }
        var w = graft_window()
        w.strides = (Int64(window.stride.height), Int64(window.stride.width))
        w.kernel = (Int64(window.kernel.height), Int64(window.kernel.width))
        w.dilation = (Int64(window.dilation.height - 1), Int64(window.dilation.width - 1))
        w.before = (Int64(padding.top), Int64(padding.left))
        w.after = (after(2, \.height, padding.top), after(3, \.width, padding.left))
        return w
    }
}

/// Numbers of a value, of a weight or of a gradient.
typealias Floats = UnsafeMutableBufferPointer<Float>
