// The weights of a product as its steps read them: constants that are prepared once, or what learns.

import CDNNL
import CKernels
import GraftNetworks
import GraftTensors

/// The weights of a product's step, with a BatchNorm after it folded in.
protocol ProductWeights: AnyObject {
    /// The kernel in the layout that a primitive wants.
    func kernel(as layout: Descriptor) throws -> Memory
    /// The bias; nil without one.
    func bias() throws -> Memory?
    var hasBias: Bool { get }
    /// The kernel as graft's own transforms read it.
    func transformed(for work: graft_winograd, block: Int) throws -> WinogradWeights
    /// Lets go of numbers that no step reads.
    func forget()
}

/// Weights that do not change, read when they are wanted: where a plan file has them as a kernel
/// reads them, they are not.
final class ConstantWeights: ProductWeights {
    let hasBias: Bool
    /// The node, and what is folded in.
    let name: String
    private let compiler: Compiler
    private let product: Product
    private let norm: (() throws -> ChannelNorm)?
    private var made: (kernel: [Float], bias: [Float]?)?
    private var madeRows: QuantizedRows?

    init(_ product: Product, norm: Node?, in compiler: Compiler) {
        self.compiler = compiler
        self.product = product
        hasBias = norm != nil || product.bias != nil
        name = product.name + (norm.map { " × \($0.name)" } ?? "")
        self.norm = norm.map { node in
            { try ChannelNorm(node, in: compiler) }
        }
    }

    func numbers() throws -> (kernel: [Float], bias: [Float]?) {
        if let made { return made }
        var kernel = try compiler.weight(product.kernel)
        var bias = try product.bias.map { try compiler.weight($0) }
        if let norm { try norm().fold(into: &kernel, bias: &bias) }
        made = (kernel, bias)
        return (kernel, bias)
    }

    /// The kernel in eight bits, a scale for each output.
    func rows(_ outputs: Int) throws -> QuantizedRows {
        if let madeRows { return madeRows }
        let rows = QuantizedRows(try numbers().kernel, rows: outputs)
        madeRows = rows
        return rows
    }

    func forget() {
        made = nil
        madeRows = nil
    }

    func kernel(as layout: Descriptor) throws -> Memory {
        try compiler.kept(name, as: layout) {
            try compiler.constant(try numbers().kernel, dims: product.kernelDims)
        }
    }

    func bias() throws -> Memory? {
        guard hasBias else { return nil }
        let outputs = product.output[1]
        return try compiler.kept("\(name) bias", as: .plain([outputs])) {
            try compiler.constant(try numbers().bias ?? [], dims: [outputs])
        }
    }

    /// Transformed once, or found in the plan file.
    func transformed(for work: graft_winograd, block: Int) throws -> WinogradWeights {
        var work = work
        let count = graft_winograd_weights_count(&work)
        func make() throws -> Buffer {
            let buffer = Buffer(byteCount: count * 4)
            graft_winograd_weights(
                &work, block, try numbers().kernel, 0, buffer.floats(count).baseAddress)
            return buffer
        }
        return .kept(
            try compiler.planFile?.buffer(
                "\(name) F\(work.m) \(work.channels)>\(work.outputs) by \(block)",
                byteCount: count * 4, make: make) ?? make())
    }
}

/// Weights of which some may learn. A BatchNorm is folded in at every step if anything of either
/// learns, and what the gradient says of the folded weights is unfolded to γ, β and the weights.
final class LearningWeights: ProductWeights {
    private let compiler: Compiler
    private let product: Product
    private let kernelValue: Memory
    private let kernelSlot: Learning.Slot?
    private let biasValue: Memory?
    private let biasGradient: Memory?
    private let fold: Fold?

    init(_ product: Product, norm: Node?, in pass: ForwardPass) throws {
        let (compiler, learning) = (pass.compiler, pass.learning)
        self.compiler = compiler
        self.product = product
        kernelSlot = learning?.slots[product.kernel.name]
        kernelValue = try pass.weight(product.kernel, dims: product.kernelDims)
        if let norm {
            let fold = try Fold(
                product, norm: norm, kernel: kernelValue, in: compiler, learning: learning)
            self.fold = fold
            biasValue = fold.bias
            biasGradient = fold.biasGradient
        } else {
            fold = nil
            biasValue = try product.bias.map { try pass.weight($0) }
            biasGradient = learning?.gradient(of: product.bias)
        }
    }

    var hasBias: Bool { biasValue != nil }
    func bias() -> Memory? { biasValue }
    func forget() {}

    func kernel(as layout: Descriptor) throws -> Memory {
        guard let fold else {
            return kernelSlot == nil
                ? try compiler.prepared(kernelValue, as: layout)
                : try compiler.reordered(kernelValue, to: layout)
        }
        guard fold.learns else {
            return try compiler.prepared(fold.constantKernel(in: compiler), as: layout)
        }
        return try compiler.reordered(fold.appendFolding(in: compiler), to: layout)
    }

    func transformed(for work: graft_winograd, block: Int) throws -> WinogradWeights {
        .moving(try kernel(as: .plain(product.kernelDims)), reversed: false)
    }

    /// Appends the steps for the gradients of the weights, if any learns.
    func appendGradients(
        source: Memory, gradient: Memory, hint: Primitive
    ) throws {
        guard kernelSlot != nil || biasGradient != nil else { return }
        let weights = try compiler.kernelGradient(
            product, source: source, gradient: gradient, hint: hint, bias: biasGradient,
            into: fold == nil ? kernelSlot?.gradient : nil)
        try fold?.appendUnfolding(
            try compiler.reordered(weights, to: .plain(product.kernelDims)), in: compiler)
    }
}

/// A BatchNorm with running statistics in the weights of the product before it, at every step.
///
/// It does not keep the compiler, whose steps keep it.
private final class Fold {
    /// The bias, as the last step folded it.
    let bias: Memory
    /// The memory of the folded bias's gradient; nil if nothing needs it.
    let biasGradient: Memory?
    /// Whether anything that goes into the folded weights learns.
    let learns: Bool
    private let name: String
    private let dims: [Int]
    private let kernel: Memory
    private let kernelGradient: Memory?
    private let norm: ChannelNorm
    private let given: ChannelNumbers
    private let size: Int
    private var dots: [Float]
    private var corrected: [Float]

    init(
        _ product: Product, norm node: Node, kernel: Memory, in compiler: Compiler,
        learning: Learning?
    ) throws {
        self.kernel = kernel
        name = node.name
        dims = product.kernelDims
        kernelGradient = learning?.gradient(of: product.kernel)
        norm = try ChannelNorm(node, in: compiler, learning: learning)
        given = try ChannelNumbers(product.bias, in: compiler, learning: learning)
        size = product.kernel.shape.count / max(norm.channels, 1)
        let zeros = [Float](repeating: 0, count: norm.channels)
        dots = zeros
        corrected = zeros
        let biasLearns = norm.learns || given.learns
        learns = biasLearns || kernelGradient != nil
        bias = try compiler.constant(zeros, dims: [norm.channels])
        biasGradient = biasLearns ? try compiler.constant(zeros, dims: [norm.channels]) : nil
        update()
    }

    /// Computes the factors and the bias from what γ, β and b are now.
    private func update() {
        norm.update()
        for c in 0..<norm.channels {
            bias.floats[c] = norm.bias(c, before: given.number(c, or: 0))
        }
    }

    /// The folded weights where nothing learns.
    func constantKernel(in compiler: Compiler) throws -> Memory {
        let folded = try compiler.constant(
            [Float](repeating: 0, count: norm.channels * size), dims: dims)
        graft_fold_rows(kernel.floats, norm.channels, size, norm.scale, folded.floats)
        return folded
    }

    /// Appends the step that folds the weights as they are then.
    func appendFolding(in compiler: Compiler) throws -> Memory {
        let target = try compiler.memory(.plain(dims))
        compiler.append(name, by: "fold", uses: [target]) { [self] in
            update()
            graft_fold_rows(kernel.floats, norm.channels, size, norm.scale, target.floats)
        }
        return target
    }

    /// Appends the step that turns the gradient of the folded weights into that of what learns.
    func appendUnfolding(_ gradient: Memory, in compiler: Compiler) throws {
        let engine = compiler.engine
        compiler.append(name, by: "unfold", uses: [gradient]) { [self] in
            try check(dnnl_stream_wait(engine.stream), "finish")
            graft_unfold_rows(
                gradient.floats, kernel.floats, norm.channels, size, norm.scale,
                kernelGradient?.floats, &dots)
            guard let sums = biasGradient?.floats else { return }
            for c in 0..<norm.channels {
                // Σ g (x − μ) of what goes into the BatchNorm, by the weights before it.
                corrected[c] = dots[c] + (given.number(c, or: 0) - norm.mean[c]) * sums[c]
                given.gradient?[c] = sums[c] * norm.scale[c]
            }
            norm.collect(products: corrected, sums: sums)
        }
    }
}

extension ChannelNorm {
    /// The BatchNorm of a node.
    convenience init(_ node: Node, in compiler: Compiler, learning: Learning? = nil) throws {
        guard case .batchNorm(let rule) = node.op else {
            preconditionFailure("`\(node.name)` is not a BatchNorm")
        }
        try self.init(
            rule, named: node.name, parameters: node.parameters, in: compiler, learning: learning)
    }
}
