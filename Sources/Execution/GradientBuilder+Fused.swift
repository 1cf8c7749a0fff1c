// A product with the BatchNorm, the sum and the activation after it, as one step forward and as few as
// there can be backward. With its running statistics BatchNorm is a factor and a shift by channel:
// they are folded into the weights at every step, and what their gradient says of the folded weights
// is unfolded to γ, β and the weights. No map is kept but the one that the next layer reads.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

extension GradientBuilder {
    /// Which nodes one product does the work of.
    struct Fused {
        let product: Int
        let norm: Int?
        /// The sum, and the other value that goes into it.
        let sum: (node: Int, other: Int)?
        let activation: Int?
        var last: Int { activation ?? sum?.node ?? norm ?? product }
    }

    /// What forward leaves for backward.
    struct FusedState {
        let fused: Fused
        let forward: Primitive
        let source: Memory
        let output: Memory
        let fold: Fold?
        let bounds: (lower: Float, upper: Float)?
    }

    /// The only reader of a node's value, if there is one and the value is not the plan's output.
    private func only(_ index: Int) -> Int? {
        readers[index].count == 1 && index != output ? readers[index][0] : nil
    }

    /// What the product at `index` can take in, now that the nodes before it have their values.
    func fused(_ index: Int) -> Fused? {
        let nodes = compiler.graph.nodes
        var last = index
        var norm: Int?
        if let next = only(last), case .batchNorm = nodes[next].op, !learnsStatistics(nodes[next]) {
            (norm, last) = (next, next)
        }
        var sum: (node: Int, other: Int)?
        if let next = only(last), case .add = nodes[next].op, nodes[next].inputs.count == 2,
            let other = nodes[next].inputs.first(where: { $0 != last }), values[other] != nil,
            shapes[other] == shapes[last]
        {
            (sum, last) = ((next, other), next)
        }
        var activation: Int?
        if let next = only(last), case .activation(let cut) = nodes[next].op,
            cut.function.bounds != nil
        {
            (activation, last) = (next, next)
        }
        guard last != index else { return nil }
        return Fused(product: index, norm: norm, sum: sum, activation: activation)
    }

    /// Compiles the nodes forward; the value is that of the last of them.
    func fusedForward(_ fused: Fused) throws {
        let nodes = compiler.graph.nodes
        let node = nodes[fused.product]
        let source = try value(node.inputs[0])
        let shape = shapes[fused.product]
        let kernel = node.parameters[0]
        var activation: Activation?
        if let index = fused.activation, case .activation(let cut) = nodes[index].op {
            activation = cut.function
        }
        let fold = try fused.norm.map { try Fold(self, node, nodes[$0]) }
        let bias =
            try fold?.bias
            ?? compiler.parameter(node, .bias).map { try weight($0, dims: $0.shape.dimensions) }
        let other = try fused.sum.map { try value($0.other) }
        let primitive = try compiler.productPrimitive(
            node, dnnl_forward_training, shapes[node.inputs[0]], shape, bias: bias != nil,
            attributes: try PostOps(sum: other != nil, activation: activation))
        let (x, y) = try forwardProduct(
            node, source, shape, primitive, bias: bias, activation: activation,
            accumulates: other != nil, weights: { try folded(fold, node, kernel, as: $0) }
        ) { descriptor, layout in
            if let other, let sum = fused.sum, readers[sum.other].count == 1,
                overwritable.contains(sum.other), other.descriptor == descriptor
            {
                return other
            }
            let y = try layout.map { try compiler.memory($0) } ?? compiler.memory(descriptor)
            if let other { try compiler.reorder(other, into: y) }
            return y
        }
        values[fused.last] = y
        // Without an activation nobody reads the value backward: a sum may be written over it.
        if activation == nil { overwritable.insert(fused.last) }
        fusedStates[fused.last] = FusedState(
            fused: fused, forward: primitive, source: x, output: y, fold: fold,
            bounds: activation?.bounds)
        for index in [fused.product, fused.norm, fused.sum?.node, fused.activation] {
            if let index { inside[index] = fused.last }
        }
    }

    /// The weights of a product as a primitive reads them: folded anew at every step if any of what
    /// goes into them learns.
    private func folded(
        _ fold: Fold?, _ node: Node, _ kernel: Parameter, as layout: Descriptor
    ) throws -> Memory {
        guard let fold else {
            return try laidOut(
                try weight(kernel, dims: compiler.kernelDims(node)), kernel, as: layout)
        }
        guard fold.learns else { return try compiler.prepared(fold.constantKernel(), as: layout) }
        return try compiler.reordered(fold.appendFolding(), to: layout)
    }

    /// Compiles the gradients of the nodes, from those of the last one's value.
    func fusedBackward(_ state: FusedState) throws {
        let (fused, nodes) = (state.fused, compiler.graph.nodes)
        let node = nodes[fused.product]
        guard let parts = gradients[fused.last], !parts.isEmpty else { return }
        let dz: Memory
        if let bounds = state.bounds {
            dz = try maskedSum(
                parts, state.output, bounds, nodes[fused.activation ?? fused.last].name)
        } else {
            guard let sum = try gradient(fused.last) else { return }
            dz = sum
        }
        gradients[fused.last] = nil
        if let sum = fused.sum { try accumulate(sum.other, dz) }
        guard learns[fused.norm ?? fused.product] else { return }
        let shape = shapes[fused.product]
        let kernel = node.parameters[0]
        let weightSlot = slots[kernel.name]
        let biasSlot = compiler.parameter(node, .bias).flatMap { slots[$0.name] }
        let fold = state.fold
        if weightSlot != nil || biasSlot != nil || fold?.normLearns == true {
            let weights = try kernelGradient(
                node, state.source, dz, shape, hint: state.forward,
                bias: fold?.biasGradient ?? biasSlot?.gradient,
                into: fold == nil ? weightSlot?.gradient : nil)
            if let fold {
                try fold.appendUnfolding(
                    try compiler.plain(weights, compiler.kernelDims(node)))
            }
        }
        guard learns[node.inputs[0]] else { return }
        try inputGradient(node, dz, shape, hint: state.forward) {
            try folded(fold, node, kernel, as: $0)
        }
    }

    /// The sum of gradients where an activation that cuts let its value through.
    func maskedSum(
        _ parts: [Memory], _ y: Memory, _ bounds: (lower: Float, upper: Float), _ name: String
    ) throws -> Memory {
        let parts = try parts.map { try compiler.reordered($0, to: y.descriptor) }
        let z = try compiler.memory(y.descriptor)
        let count = y.descriptor.byteCount / 4
        compiler.append(name, "mask", uses: parts + [y, z]) {
            let pointers = parts.map { UnsafePointer<Float>?($0.floats) }
            graft_masked_sum(
                count, pointers, parts.count, y.floats, bounds.lower, bounds.upper, z.floats)
        }
        return z
    }
}

/// A BatchNorm with running statistics, folded into the product before it: factor γ/√(σ² + ε) for
/// the weights of a channel, and bias β + (b − μ) · factor.
final class Fold {
    /// The bias, as the last step folded it.
    let bias: Memory
    /// Where the gradient of the folded bias goes; nil if nothing needs it.
    let biasGradient: Memory?
    /// Whether γ, β or the product's bias learns.
    let normLearns: Bool
    /// Whether anything that goes into the folded weights learns.
    let learns: Bool
    private let compiler: Compiler
    private let node: Node
    private let name: String
    private let kernel: Memory
    private let channels: Int
    /// 1/√(σ² + ε), and μ.
    private let inverse: [Float]
    private let mean: [Float]
    private let gamma: [Float]?
    private let beta: [Float]?
    private let given: [Float]?
    private let slots: (kernel: GradientBuilder.Slot?, bias: GradientBuilder.Slot?)
    private let normSlots: (gamma: GradientBuilder.Slot?, beta: GradientBuilder.Slot?)
    private var factors: [Float]
    private var dots: [Float]

    init(_ builder: GradientBuilder, _ node: Node, _ norm: Node) throws {
        compiler = builder.compiler
        self.node = node
        name = norm.name
        guard case .batchNorm(let rule) = norm.op,
            let mean = compiler.parameter(norm, .runningMean),
            let variance = compiler.parameter(norm, .runningVariance)
        else { throw ExecutionError.unsupported(layer: norm.name, reason: "it has no statistics") }
        self.mean = try compiler.weight(mean)
        inverse = try compiler.weight(variance).map {
            Float(1 / (Double($0) + Double(rule.epsilon)).squareRoot())
        }
        channels = inverse.count
        func slot(_ node: Node, _ role: Parameter.Role) -> GradientBuilder.Slot? {
            builder.compiler.parameter(node, role).flatMap { builder.slots[$0.name] }
        }
        slots = (builder.slots[node.parameters[0].name], slot(node, .bias))
        normSlots = (slot(norm, .scale), slot(norm, .shift))
        gamma = try compiler.parameter(norm, .scale).map { try builder.compiler.weight($0) }
        beta = try compiler.parameter(norm, .shift).map { try builder.compiler.weight($0) }
        given = try compiler.parameter(node, .bias).map { try builder.compiler.weight($0) }
        kernel = try builder.weight(node.parameters[0], dims: compiler.kernelDims(node))
        normLearns = normSlots.gamma != nil || normSlots.beta != nil || slots.bias != nil
        learns = normLearns || slots.kernel != nil
        let zeros = [Float](repeating: 0, count: channels)
        bias = try compiler.constant(zeros, dims: [channels])
        biasGradient = normLearns ? try compiler.constant(zeros, dims: [channels]) : nil
        (factors, dots) = (zeros, zeros)
        fold()
    }

    private var size: Int { (node.parameters.first?.shape.count ?? 0) / max(channels, 1) }

    /// Computes the factors and the bias from what γ, β and b are now.
    private func fold() {
        func now(_ slot: GradientBuilder.Slot?, _ constant: [Float]?, _ index: Int, _ none: Float)
            -> Float
        {
            slot?.value.floats[index] ?? constant?[index] ?? none
        }
        for c in 0..<channels {
            factors[c] = now(normSlots.gamma, gamma, c, 1) * inverse[c]
            bias.floats[c] =
                now(normSlots.beta, beta, c, 0)
                + (now(slots.bias, given, c, 0) - mean[c]) * factors[c]
        }
    }

    /// The folded weights where nothing learns.
    func constantKernel() throws -> Memory {
        let folded = try compiler.constant(
            [Float](repeating: 0, count: channels * size), dims: compiler.kernelDims(node))
        graft_fold_rows(kernel.floats, channels, size, factors, folded.floats)
        return folded
    }

    /// Appends the step that folds the weights as they are then.
    func appendFolding() throws -> Memory {
        let target = try compiler.memory(.plain(compiler.kernelDims(node)))
        let size = size
        compiler.append(name, "fold", uses: [target]) { [self] in
            fold()
            graft_fold_rows(kernel.floats, channels, size, factors, target.floats)
        }
        return target
    }

    /// Appends the step that turns the gradient of the folded weights into that of what learns.
    func appendUnfolding(_ gradient: Memory) throws {
        let size = size
        let engine = compiler.engine
        compiler.append(name, "unfold", uses: [gradient]) { [self] in
            try check(dnnl_stream_wait(engine.stream), "finish")
            graft_unfold_rows(
                gradient.floats, kernel.floats, channels, size, factors,
                slots.kernel?.gradient.floats, &dots)
            guard let db = biasGradient?.floats else { return }
            for c in 0..<channels {
                let b = slots.bias?.value.floats[c] ?? given?[c] ?? 0
                normSlots.gamma?.gradient.floats[c] =
                    (dots[c] + (b - mean[c]) * db[c]) * inverse[c]
                normSlots.beta?.gradient.floats[c] = db[c]
                slots.bias?.gradient.floats[c] = db[c] * factors[c]
            }
        }
    }
}
