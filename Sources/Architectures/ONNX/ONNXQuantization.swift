// Quantised ONNX models, read as the networks of floating-point numbers that they stand for.

import GraftNetworks
import GraftTensors

/// The quantisation of a value that a node reads or makes: (q − zero) · scale.
///
/// Constants are computed as the file says. Other values are clipped to what the integers can hold,
/// since exporters leave an activation to that, and not rounded: an answer differs from that of a
/// quantised run by about a step.
struct ONNXQuantization {
    private let node: ONNXNode
    private let scales: [Float]
    private let zeros: [Float]
    private let axis: Int
    /// The range of the integers.
    private let range: ClosedRange<Float>

    /// The scale at input `index` and the zero point after it, of each channel along `axis`.
    init(_ node: ONNXNode, scaleAt index: Int = 1, axis: Int? = nil) throws {
        self.node = node
        guard let scale = try node.tensor(at: index), scale.shape.rank <= 1, scale.count > 0,
            node.integer("block_size", or: 0) == 0
        else { throw node.fail(.scales) }
        let zero = try node.tensor(at: index + 1)
        scales = scale.floats
        zeros = zero?.converted(to: .f32).floats ?? [Float](repeating: 0, count: scale.count)
        self.axis = axis ?? node.integer("axis", or: 1)
        switch zero?.dtype ?? .u8 {
        case .i8: range = -128...127
        case .u8: range = 0...255
        case .i16: range = -32768...32767
        case .i32: range = -2_147_483_648...2_147_483_520
        case let other: throw node.fail(.type(other))
        }
        guard zeros.count == scales.count, scales.allSatisfy({ $0.isFinite && $0 > 0 }) else {
            throw node.fail(.zeroPoints)
        }
    }

    /// Applies a function of an element, its scale and its zero point.
    private func map(
        _ tensor: Tensor, _ function: (Float, _ scale: Float, _ zero: Float) -> Float
    ) throws -> Tensor {
        let shape = tensor.shape
        let axis = self.axis < 0 ? self.axis + shape.rank : self.axis
        guard
            scales.count == 1
                || shape.dimensions.indices.contains(axis) && shape[axis] == scales.count
        else { throw node.fail(.unfit(count: scales.count, shape)) }
        let inner =
            scales.count == 1 ? 1 : shape.dimensions[(axis + 1)...].reduce(1, *)
        let values = tensor.converted(to: .f32).floats.enumerated().map { index, value in
            let channel = index / max(inner, 1) % scales.count
            return function(value, scales[channel], zeros[channel])
        }
        return Tensor(values, shape: shape)
    }

    /// The numbers that these integers stand for.
    func dequantized(_ tensor: Tensor) throws -> Tensor {
        try map(tensor) { ($0 - $2) * $1 }
    }

    /// The integers for these numbers.
    func quantized(_ tensor: Tensor) throws -> Tensor {
        try map(tensor) { value, scale, zero in
            let whole = (value / scale).rounded(.toNearestOrEven) + zero
            return min(max(whole, range.lowerBound), range.upperBound)
        }
    }

    /// The quantisation of all values, or of the first channel.
    var first: Step { Step(scale: scales[0], zero: zeros[0]) }

    /// The size of a step of integers, and the integer that is 0.
    struct Step: Hashable {
        let scale: Float
        let zero: Float
    }

    /// The scale of a channel, of which there are `count`.
    func scale(of channel: Int, among count: Int) throws -> Float {
        guard scales.count == 1 || scales.count == count else {
            throw node.fail(.unfit(count: scales.count, [count]))
        }
        return scales[scales.count == 1 ? 0 : channel]
    }

    /// Clips node `x` to what the integers can hold, which the result then stands for.
    func clipped(_ x: Int, name: String, in reader: inout ONNXReader) throws -> Int {
        guard scales.count == 1 else { throw node.fail(.valueByChannel) }
        let value = try reader.builder.clipped(
            x, from: (range.lowerBound - first.zero) * first.scale,
            to: (range.upperBound - first.zero) * first.scale, name: name)
        reader.steps[value] = first
        return value
    }

    /// The node of the numbers that the integers at input `index` stand for: what a node of this
    /// quantisation made, or the images of bytes.
    func real(at index: Int, in reader: inout ONNXReader) throws -> Int {
        let x = try reader.operand(of: node, at: index)
        guard scales.count == 1 else { throw node.fail(.valueByChannel) }
        if x == 0 {
            let op = Op.affine(scale: [first.scale], shift: [-first.zero * first.scale])
            return try reader.emit(op, for: node, reading: [x], suffix: ".input")
        }
        // Whatever moves integers or takes the largest does so with the numbers they stand for.
        var source = x
        while reader.steps[source] == nil, reader.builder.nodes[source].inputs.count == 1,
            reader.builder.nodes[source].op.exportable.keepsIntegers
        {
            source = reader.builder.nodes[source].inputs[0]
        }
        guard reader.steps[source] == first else { throw node.fail(.otherStep) }
        return x
    }

    /// `QuantizeLinear`: constants as integers, other values clipped.
    static func readQuantization(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let it = try ONNXQuantization(node)
        if let constant = try node.constant(at: 0) { return .constant(try it.quantized(constant)) }
        let x = try reader.operand(of: node)
        return .node(try it.clipped(x, name: reader.name(of: node), in: &reader))
    }

    /// `DequantizeLinear` of constants, of images of bytes, or of what is quantised.
    static func readDequantization(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let it = try ONNXQuantization(node)
        if let constant = try node.constant(at: 0) {
            return .constant(try it.dequantized(constant))
        }
        return .node(try it.real(at: 0, in: &reader))
    }
}

/// Why a quantisation cannot be read.
enum QuantizationFlaw {
    /// It has no scale, or scales of blocks.
    case scales
    /// Its integers are of a type without a known range.
    case type(DType)
    /// Its zero points are not as many as its scales, or a scale is not positive.
    case zeroPoints
    /// Its scales are not as many as the channels.
    case unfit(count: Int, Shape)
    /// Values that are computed have a scale for each channel.
    case valueByChannel
    /// It reads integers of another scale, or other integers.
    case otherStep
    /// A product whose weights are not known, or not of the rank of a layer's.
    case kernel
    /// Another axis than that of the channels.
    case axis

    var explanation: String {
        switch self {
        case .scales: "expected one scale, or one per channel"
        case .type(let type): "expected 8-bit, 16-bit or 32-bit integers, found \(type)"
        case .zeroPoints: "expected a zero point for each scale, and scales above 0"
        case .unfit(let count, let shape): "\(count) scales do not fit \(shape)"
        case .valueByChannel: "graft does not run activations of one scale per channel"
        case .otherStep: "expected integers of the scale with which they were made"
        case .kernel: "expected a product with weights that are known"
        case .axis: "expected the second axis for the channels"
        }
    }
}

extension ONNXNode {
    func fail(_ flaw: QuantizationFlaw) -> ArchitectureError { fail(flaw.explanation) }

    /// Numbers that are known; nil if the value is computed.
    fileprivate func constant(at index: Int) throws -> Tensor? {
        if case .constant(let tensor) = try value(at: index) { tensor } else { nil }
    }
}
