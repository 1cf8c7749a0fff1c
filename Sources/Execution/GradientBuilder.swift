// The forward and backward steps of every operation that gradients can pass.

import CDNNL
import GraftNetworks
import GraftTensors

/// Compiles a node forward, then, in reverse order, backward.
final class GradientBuilder {
    /// A parameter that learns: its numbers and their gradient, row-major.
    struct Slot {
        let value: Memory
        let gradient: Memory
    }

    let compiler: Compiler
    var values: [Int: Memory] = [:]
    /// What has been found of the gradient of a node's value: the sum of these.
    var gradients: [Int: [Memory]] = [:]
    var slots: [String: Slot] = [:]
    var dropoutSeed: UInt64?
    /// What forward leaves for backward, by node.
    var products: [Int: (primitive: Primitive, source: Memory, kernel: Memory)] = [:]
    private var pools: [Int: Compiler.Pooled] = [:]
    private var chains:
        [Int: [(primitive: Primitive, source: Memory, (dnnl_alg_kind_t, Float, Float))]] = [:]
    var norms: [Int: BatchNormState] = [:]
    var learningNorms: [Int: LearningNorm] = [:]
    /// The running statistics that may move.
    let moving: MovingStatistics?
    /// Whose batches they are of, if others' too.
    let joint: JointBatch?
    /// Whether they do in this step, and those that do not yet.
    var movesStatistics = false
    var heldStatistics: Set<String> = []
    var masks: [Int: Mask] = [:]
    let learns: [Bool]
    /// The node whose value the plan is for, and who reads each value on the way to it.
    let output: Int
    let readers: [[Int]]
    /// What products have taken in: by the last node of each, and that by all of them.
    var fusedStates: [Int: FusedState] = [:]
    var inside: [Int: Int] = [:]
    /// Values that nobody needs once their reader has run.
    var overwritable: Set<Int> = []

    var shapes: [Shape] { compiler.shapes }

    init(
        _ compiler: Compiler, trainable: Set<String>, output: Int, moving: MovingStatistics? = nil,
        joint: JointBatch? = nil
    ) throws {
        self.compiler = compiler
        self.moving = moving
        self.joint = joint
        self.output = output
        var readers = [[Int]](repeating: [], count: compiler.graph.nodes.count)
        for (index, node) in compiler.graph.nodes.enumerated() where index <= output {
            for input in node.inputs { readers[input].append(index) }
        }
        self.readers = readers
        var learns: [Bool] = []
        for node in compiler.graph.nodes {
            let own = node.parameters.contains { trainable.contains($0.name) && !$0.isBuffer }
            learns.append(own || node.inputs.contains { learns[$0] })
        }
        self.learns = learns
        for node in compiler.graph.nodes {
            for parameter in node.parameters
            where trainable.contains(parameter.name) && !parameter.isBuffer {
                let dims =
                    parameter == node.parameters.first && parameter.shape.rank > 1
                    ? compiler.kernelDims(node) : parameter.shape.dimensions
                slots[parameter.name] = Slot(
                    value: try compiler.constant(try compiler.weight(parameter), dims: dims),
                    gradient: try compiler.constant(
                        [Float](repeating: 0, count: parameter.shape.count), dims: dims))
            }
            for parameter in node.parameters where moving?.names.contains(parameter.name) == true {
                // A statistic has no gradient.
                let value = try compiler.constant(
                    try compiler.weight(parameter), dims: parameter.shape.dimensions)
                slots[parameter.name] = Slot(value: value, gradient: value)
            }
        }
    }

    func value(_ node: Int) throws -> Memory {
        guard let value = values[node] else {
            throw ExecutionError.unsupported(
                layer: compiler.graph.nodes[node].name, reason: "has no value")
        }
        return value
    }

    // MARK: Forward

    func forward(_ index: Int) throws {
        guard inside[index] == nil else { return }
        let node = compiler.graph.nodes[index]
        let inputs = try node.inputs.map { try value($0) }
        let x = inputs[0]
        let inputShape = shapes[node.inputs[0]]
        switch node.op {
        case .input: break
        case .conv2d, .linear:
            if let fused = fused(index) {
                try fusedForward(fused)
            } else {
                values[index] = try product(index, node, x)
            }
        case .convTranspose2d:
            values[index] = try transposedProduct(index, node, x)
        case .batchNorm(let op) where learnsStatistics(node):
            values[index] = try learningNorm(
                index, node, x, epsilon: op.epsilon, momentum: op.momentum)
        case .batchNorm(let op):
            values[index] = try batchNorm(index, node, x, op.epsilon)
        case .activation(let op) where op.function.bounds != nil:
            // Its gradient is read off its value.
            values[index] = try compiler.activate(node, x, op.function)
        case .activation(let op):
            var value = x
            for algorithm in op.function.algorithms {
                let (primitive, output) = try compiler.eltwise(
                    node, value, dnnl_forward_training, algorithm)
                chains[index, default: []].append((primitive, value, algorithm))
                value = output
            }
            values[index] = value
        case .adaptiveAveragePool where !compiler.dividesEvenly(node, inputShape):
            values[index] = try compiler.plainLoop(node, inputs, shapes, index)
        case .maxPool, .averagePool, .globalAveragePool, .globalMaxPool, .adaptiveAveragePool:
            let pooled = try compiler.pool(
                node, x, inputShape, shapes[index], extra: .zero, training: true)
            pools[index] = pooled
            values[index] = pooled.output
        case .add, .multiply:
            values[index] = try compiler.combine(
                node, inputs, node.inputs.map { shapes[$0] }, shapes[index])
        case .flatten(let op):
            values[index] = try compiler.flatten(
                x, inputShape, shapes[index], channelsLast: op.channelsLast)
        case .dropout(let op): values[index] = try dropout(index, x, op.rate)
        case .dropPath: values[index] = x
        case .softmax: values[index] = try compiler.softmax(node, x, shapes[index])
        case .layerNorm(let op):
            values[index] = try layerNorm(index, node, x, op.epsilon)
        case .channelScale: values[index] = try channelScale(index, node, x)
        case .concatenate:
            values[index] = try compiler.joined(
                inputs, node.inputs.map { shapes[$0] }, shapes[index])
        case .slice(let op):
            values[index] = try compiler.cut(x, inputShape, start: op.start, shapes[index])
        case .channelShuffle(let op):
            values[index] = try compiler.shuffled(x, shapes[index], groups: op.groups)
        case .pad, .reshape, .upsample, .affine, .unitNorm:
            values[index] = try compiler.plainLoop(node, inputs, shapes, index)
        }
    }

    /// A weight for a primitive: reordered at every step if it learns, once if it does not.
    func weight(_ parameter: Parameter, dims: [Int]) throws -> Memory {
        try slots[parameter.name]?.value
            ?? compiler.constant(try compiler.weight(parameter), dims: dims)
    }

    func laidOut(_ weight: Memory, _ parameter: Parameter, as layout: Descriptor) throws
        -> Memory
    {
        slots[parameter.name] == nil
            ? try compiler.prepared(weight, as: layout) : try compiler.reordered(weight, to: layout)
    }

    private func product(_ index: Int, _ node: Node, _ x: Memory) throws -> Memory {
        let kernel = node.parameters[0]
        let weights = try weight(kernel, dims: compiler.kernelDims(node))
        let bias = try compiler.parameter(node, .bias).map {
            try weight($0, dims: $0.shape.dimensions)
        }
        let primitive = try compiler.productPrimitive(
            node, dnnl_forward_training, shapes[node.inputs[0]], shapes[index], bias: bias != nil)
        let (source, y) = try forwardProduct(
            node, x, shapes[index], primitive, bias: bias,
            weights: { try laidOut(weights, kernel, as: $0) },
            room: { try $1.map { try compiler.memory($0) } ?? compiler.memory($0) })
        products[index] = (primitive, source, weights)
        return y
    }

    // MARK: Backward

    /// Adds to the gradient of a node's value.
    func accumulate(_ node: Int, _ gradient: Memory) throws {
        guard learns[node] else { return }
        gradients[node, default: []].append(gradient)
    }

    /// The gradient of a node's value, its parts added up.
    func gradient(_ node: Int) throws -> Memory? {
        guard let parts = gradients[node], var sum = parts.first else { return nil }
        for part in parts.dropFirst() {
            sum = try compiler.binary(
                dnnl_binary_add, sum, try compiler.reordered(part, to: sum.descriptor), "gradient")
        }
        return sum
    }

    func backward(_ index: Int) throws {
        let node = compiler.graph.nodes[index]
        guard learns[index] else { return }
        if let last = inside[index] {
            if last == index, let state = fusedStates[index] { try fusedBackward(state) }
            return
        }
        let from = node.inputs[0]
        if case .activation(let cut) = node.op, let bounds = cut.function.bounds {
            guard learns[from], let parts = gradients[index] else { return }
            try accumulate(from, try maskedSum(parts, try value(index), bounds, node.name))
            gradients[index] = nil
            return
        }
        guard let dy = try gradient(index) else { return }
        gradients[index] = nil
        switch node.op {
        case .input: break
        case .conv2d, .linear: try productBackward(index, node, dy)
        case .convTranspose2d: try transposedProductBackward(index, node, dy)
        case .batchNorm(let op):
            if let norm = learningNorms[index] {
                try learningNormBackward(index, node, dy, norm)
            } else {
                try batchNormBackward(index, node, dy, op.epsilon)
            }
        case .activation: try activationBackward(index, dy)
        case .adaptiveAveragePool where !compiler.dividesEvenly(node, shapes[from]):
            try accumulate(
                from, try compiler.adaptivePoolBackward(node, dy, shapes[from], shapes[index]))
        case .maxPool, .averagePool, .globalAveragePool, .globalMaxPool, .adaptiveAveragePool:
            if learns[from] { try poolBackward(index, node, dy) }
        case .add:
            for input in node.inputs where learns[input] {
                try accumulate(input, try summed(dy, shapes[index], to: shapes[input]))
            }
        case .multiply: try multiplyBackward(index, node, dy)
        case .flatten(let op):
            let plain = try compiler.plain(dy, shapes[index].dimensions)
            let dims = shapes[from].dimensions
            try accumulate(
                from,
                try Memory(
                    op.channelsLast ? .channelsLast(dims) : .plain(dims), plain.buffer,
                    compiler.engine
                ))
        case .dropout: try dropoutBackward(index, from, dy)
        case .dropPath: try accumulate(from, dy)
        case .pad(let op):
            let crop = Padding(
                top: -op.padding.top, left: -op.padding.left, bottom: -op.padding.bottom,
                right: -op.padding.right)
            try accumulate(from, try moved(.pad(crop, value: 0), node, dy, index, from))
        case .concatenate:
            var start = 0
            for input in node.inputs {
                let count = shapes[input][1]
                if learns[input] {
                    try accumulate(
                        input, try compiler.cut(dy, shapes[index], start: start, shapes[input]))
                }
                start += count
            }
        case .layerNorm(let op): try layerNormBackward(index, node, dy, op.epsilon)
        case .channelScale: try channelScaleBackward(index, node, dy)
        case .affine(let op):
            try accumulate(
                from,
                try compiler.channelAffine(
                    dy, shapes[index], scale: op.scale, shift: nil, as: node.name))
        case .softmax, .unitNorm, .slice, .reshape, .upsample, .channelShuffle:
            if learns[from] { try loopBackward(index, node, dy) }
        }
    }

    func unsupported(_ node: Node) -> ExecutionError {
        .unsupported(
            layer: node.name, reason: "gradients cannot pass a layer of kind `\(node.op.kind)` yet")
    }

    /// A gradient that an operation on row-major numbers moves into place.
    private func moved(_ op: Op, _ node: Node, _ dy: Memory, _ from: Int, _ to: Int) throws
        -> Memory
    {
        let step = Node(name: node.name, op: op, inputs: [0])
        return try compiler.plainLoop(step, [dy], [shapes[from], shapes[to]], 1)
    }

    private func activationBackward(_ index: Int, _ dy: Memory) throws {
        let node = compiler.graph.nodes[index]
        guard learns[node.inputs[0]] else { return }
        var gradient = dy
        for (forward, source, algorithm) in (chains[index] ?? []).reversed() {
            gradient = try compiler.reordered(gradient, to: source.descriptor)
            let primitive = try Primitive("plan layer `\(node.name)`", compiler.engine) { pd in
                source.descriptor.withPointer {
                    graft_eltwise(
                        &pd, compiler.engine.engine, dnnl_backward_data, algorithm.0, $0, $0,
                        algorithm.1, algorithm.2, compiler.engine.attributes,
                        forward.description)
                }
            }
            compiler.note(node, primitive)
            let dx = try compiler.memory(source.descriptor)
            compiler.append(
                primitive,
                [(DNNL_ARG_SRC, source), (DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_DIFF_SRC, dx)])
            gradient = dx
        }
        try accumulate(node.inputs[0], gradient)
    }

    private func poolBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        guard var pooled = pools[index] else { throw unsupported(node) }
        var gradient = dy
        if shapes[index].rank == 2 {
            gradient = try compiler.plain(
                dy, shapes[index].dimensions, as: shapes[index].dimensions + [1, 1])
        }
        gradient = try compiler.reordered(gradient, to: pooled.raw.descriptor)
        let primitive = try Primitive("plan layer `\(node.name)`", compiler.engine) { pd in
            pooled.input.descriptor.withPointer { src in
                pooled.raw.descriptor.withPointer {
                    graft_pool(
                        &pd, compiler.engine.engine, dnnl_backward_data, pooled.algorithm, src, $0,
                        &pooled.geometry, compiler.engine.attributes,
                        pooled.primitive.description)
                }
            }
        }
        compiler.note(node, primitive)
        let dx = try compiler.memory(pooled.input.descriptor)
        var arguments = [(DNNL_ARG_DIFF_DST, gradient), (DNNL_ARG_DIFF_SRC, dx)]
        if let workspace = pooled.workspace { arguments.append((DNNL_ARG_WORKSPACE, workspace)) }
        compiler.append(primitive, arguments)
        guard let (p, shape) = pooled.padded else { return try accumulate(node.inputs[0], dx) }
        let crop = Padding(top: -p.top, left: -p.left, bottom: -p.bottom, right: -p.right)
        let step = Node(name: node.name, op: .pad(crop, value: 0), inputs: [0])
        try accumulate(
            node.inputs[0],
            try compiler.plainLoop(step, [dx], [shape, shapes[node.inputs[0]]], 1))
    }

    private func multiplyBackward(_ index: Int, _ node: Node, _ dy: Memory) throws {
        for (place, input) in node.inputs.enumerated() where learns[input] {
            var product = dy
            for (position, other) in node.inputs.enumerated() where position != place {
                product =
                    shapes[other] == shapes[index]
                    ? try compiler.binary(
                        dnnl_binary_mul, product,
                        try compiler.reordered(try value(other), to: product.descriptor),
                        node.name)
                    : try compiler.gated(
                        product, shapes[index], by: try value(other), as: node.name)
            }
            let gradient = try summed(product, shapes[index], to: shapes[input])
            try accumulate(input, gradient)
        }
    }

    /// The gradient of a value that was repeated over the map: the sum over the map.
    private func summed(_ gradient: Memory, _ shape: Shape, to target: Shape) throws -> Memory {
        guard target != shape else { return gradient }
        let pooling = Node(
            name: "sum", op: .globalAveragePool(keepsDimensions: true), inputs: [0])
        let mean = try compiler.pool(
            pooling, gradient, shape, target, extra: .zero, training: false)
        let area = Float(shape[2] * shape[3])
        return try compiler.channelAffine(mean.output, target, scale: [area], shift: nil, as: "sum")
    }
}
