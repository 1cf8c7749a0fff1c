// What inference and training share: values, weights, layouts and the list of steps.

import CDNNL
import GraftNetworks
import GraftTensors

/// Builds a list of steps, each one primitive or one loop over plain numbers.
final class Compiler {
    let engine: Engine
    let graph: Graph
    let shapes: [Shape]
    private let weights: StateDict
    let options: ExecutionOptions
    /// How many threads run the steps, whichever thread asks for it.
    let threads: Int
    /// What every step may use while it runs.
    var scratch: Scratch { engine.scratch }
    /// Weights that a step transforms for itself.
    let transformed = Scratch()
    var steps: [Step] = []
    /// The memory of all values.
    let arena = Arena()
    /// What was prepared in an earlier run, and is prepared in this one.
    let planFile: PlanFile?

    init(
        graph: Graph, weights: StateDict, input: Shape, options: ExecutionOptions = .init(),
        planFile: PlanFile? = nil
    ) throws {
        engine = try Engine()
        threads = Threads.resolved(options.threads)
        self.planFile = planFile
        self.options = options
        self.graph = graph
        self.weights = weights
        shapes = try graph.shapes(input: input)
    }

    /// The numbers of a parameter, checked against the graph.
    func weight(_ parameter: Parameter) throws -> [Float] {
        guard let tensor = weights[parameter.name], tensor.shape == parameter.shape else {
            throw ExecutionError.weight(
                parameter.name, expected: parameter.shape, found: weights[parameter.name]?.shape)
        }
        return try tensor.load().floats
    }

    /// A parameter as it was given.
    func original(_ parameter: Parameter) -> LazyTensor? { weights[parameter.name] }

    func parameter(_ node: Node, _ role: Parameter.Role) -> Parameter? {
        node.parameters.first { $0.role == role }
    }

    func memory(_ descriptor: Descriptor) throws -> Memory {
        try Memory(descriptor, arena.take(descriptor.byteCount), engine)
    }

    /// Memory of its own that lasts: weights and gradients.
    func constant(_ numbers: [Float], dims: [Int]) throws -> Memory {
        let memory = try Memory(.plain(dims), Buffer(byteCount: numbers.count * 4), engine)
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
        let primitive = try reorderPrimitive(value.descriptor, target.descriptor)
        append(primitive, [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, target)], as: "reorder")
    }

    func reorderPrimitive(_ from: Descriptor, _ to: Descriptor) throws -> Primitive {
        try Primitive("reorder", engine) { pd in
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
        return try Memory(descriptor, buffer, engine)
    }

    /// A constant in the layout that a primitive wants, reordered now and once.
    func prepared(_ value: Memory, as descriptor: Descriptor) throws -> Memory {
        guard !(value.descriptor == descriptor) else { return value }
        let target = try Memory(descriptor, Buffer(byteCount: descriptor.byteCount), engine)
        try reorderPrimitive(value.descriptor, descriptor).run(
            engine, [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, target)])
        dnnl_stream_wait(engine.stream)
        return target
    }

    /// The value row-major, under these dims of equal count.
    func plain(_ value: Memory, _ dims: [Int], as view: [Int]? = nil) throws -> Memory {
        let rowMajor = try reordered(value, to: .plain(dims))
        guard let view, view != dims else { return rowMajor }
        return try Memory(.plain(view), rowMajor.buffer, engine)
    }

    /// Appends a primitive. Its list of arguments is made here and once.
    func append(_ primitive: Primitive, _ arguments: [(Int32, Memory)], as name: String? = nil) {
        let engine = engine
        let bound = primitive.bind(arguments)
        append(
            name ?? primitive.node, primitive.implementation, operations: primitive.operations,
            uses: bound.memories
        ) { try primitive.run(engine, bound) }
    }

    /// Appends a step that is no primitive of oneDNN. `uses` are all values that it reads or writes:
    /// their memory is another's before the first step that uses them and after the last.
    func append(
        _ name: String, _ algorithm: String, operations: Double = 0, uses: [Memory],
        bytes: Int? = nil, _ run: @escaping () throws -> Void
    ) {
        for memory in uses { arena.use(memory.buffer, at: steps.count) }
        steps.append(
            Step(
                node: name, algorithm: algorithm, operations: operations,
                byteCount: bytes ?? uses.reduce(0) { $0 + $1.descriptor.byteCount }, run: run))
    }

    /// Says what a primitive computes: its node, and how many multiplications and additions.
    func note(_ node: Node, _ primitive: Primitive, operations: Double = 0) {
        primitive.node = node.name
        primitive.operations = operations
    }

    /// The multiplications and additions of a convolution or linear node.
    func operations(_ node: Node, _ output: Shape) -> Double {
        guard let kernel = node.parameters.first?.shape else { return 0 }
        return 2 * Double(output.count) * Double(kernel.count / max(kernel[0], 1))
    }

    func wait() throws {
        try check(dnnl_stream_wait(engine.stream), "finish")
    }

    /// Copies row-major numbers out of a memory, running one reorder if it lies otherwise.
    func read(_ value: Memory, _ shape: Shape) throws -> Tensor {
        let plain = try Descriptor.plain(shape.dimensions)
        var source = value
        if !(value.descriptor == plain) {
            source = try Memory(plain, Buffer(byteCount: plain.byteCount), engine)
            try reorderPrimitive(value.descriptor, plain).run(
                engine, [(DNNL_ARG_FROM, value), (DNNL_ARG_TO, source)])
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

extension Activation {
    /// oneDNN's algorithms for it, one after another: kind, alpha, beta.
    var algorithms: [(dnnl_alg_kind_t, Float, Float)] {
        switch self {
        case .relu: [(dnnl_eltwise_relu, 0, 0)]
        case .relu6: [(dnnl_eltwise_clip_v2, 0, 6)]
        case .sigmoid: [(dnnl_eltwise_logistic, 0, 0)]
        case .tanh: [(dnnl_eltwise_tanh, 0, 0)]
        case .swish: [(dnnl_eltwise_swish, 1, 0)]
        case .hardSigmoid: [(dnnl_eltwise_linear, 1 / 6, 0.5), (dnnl_eltwise_clip_v2, 0, 1)]
        case .hardSwish: [(dnnl_eltwise_hardswish, 1 / 6, 0.5)]
        case .gelu: [(dnnl_eltwise_gelu_erf, 0, 0)]
        case .geluTanh: [(dnnl_eltwise_gelu_tanh, 0, 0)]
        case .elu: [(dnnl_eltwise_elu, 1, 0)]
        case .leakyReLU: [(dnnl_eltwise_relu, 0.01, 0)]
        case .exponential: [(dnnl_eltwise_exp, 0, 0)]
        case .softplus: [(dnnl_eltwise_soft_relu, 1, 0)]
        case .mish: [(dnnl_eltwise_mish, 0, 0)]
        }
    }
}
