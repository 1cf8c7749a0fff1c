// Quantised ONNX models in QDQ form, read as the networks of floating-point numbers that they stand for.

import GraftNetworks
import GraftTensors

/// The quantisation of a `QuantizeLinear` or `DequantizeLinear`: (q − zero) · scale.
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

    init(_ node: ONNXNode) throws {
        self.node = node
        guard let scale = try node.tensor(at: 1), scale.shape.rank <= 1, scale.count > 0,
            node.integer("block_size", or: 0) == 0
        else { throw node.fail(.scales) }
        let zero = try node.tensor(at: 2)
        scales = scale.floats
        zeros = zero?.converted(to: .f32).floats ?? [Float](repeating: 0, count: scale.count)
        axis = node.integer("axis", or: 1)
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

    /// The first quantisation, where all values have the same.
    private var first: Step { Step(scale: scales[0], zero: zeros[0]) }

    /// The size of a step of integers, and the integer that is 0.
    struct Step: Hashable {
        let scale: Float
        let zero: Float
    }

    /// `QuantizeLinear`: constants as integers, other values clipped.
    static func readQuantization(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let it = try ONNXQuantization(node)
        if let constant = try node.constant(at: 0) { return .constant(try it.quantized(constant)) }
        guard it.scales.count == 1 else {
            throw node.fail(.valueByChannel)
        }
        let step = it.first
        let x = try reader.operand(of: node)
        let name = reader.name(of: node)
        let value = try reader.builder.clipped(
            x, from: (it.range.lowerBound - step.zero) * step.scale,
            to: (it.range.upperBound - step.zero) * step.scale, name: name)
        reader.steps[value] = step
        return .node(value)
    }

    /// `DequantizeLinear` of constants, of images of bytes, or of what `QuantizeLinear` makes.
    static func readDequantization(
        _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> ONNXValue {
        let it = try ONNXQuantization(node)
        if let constant = try node.constant(at: 0) {
            return .constant(try it.dequantized(constant))
        }
        let x = try reader.operand(of: node)
        let step = it.first
        guard it.scales.count == 1 else {
            throw node.fail(.valueByChannel)
        }
        if x == 0 {
            let op = Op.affine(scale: [step.scale], shift: [-step.zero * step.scale])
            return .node(try reader.emit(op, for: node, reading: [x]))
        }
        // Whatever moves integers or takes the largest does so with the numbers they stand for.
        var source = x
        while reader.steps[source] == nil, reader.builder.nodes[source].inputs.count == 1,
            reader.builder.nodes[source].op.exportable.keepsIntegers
        {
            source = reader.builder.nodes[source].inputs[0]
        }
        guard reader.steps[source] == step else {
            throw node.fail(.otherStep)
        }
        return .node(x)
    }
}

/// Why a quantisation cannot be read.
private enum QuantizationFlaw {
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

    var explanation: String {
        switch self {
        case .scales: "expected one scale, or one per channel"
        case .type(let type): "expected 8-bit, 16-bit or 32-bit integers, found \(type)"
        case .zeroPoints: "expected a zero point for each scale, and scales above 0"
        case .unfit(let count, let shape): "\(count) scales do not fit \(shape)"
        case .valueByChannel: "graft does not run activations of one scale per channel"
        case .otherStep: "expected integers that `QuantizeLinear` makes with the same scale"
        }
    }
}

extension ONNXNode {
    fileprivate func fail(_ flaw: QuantizationFlaw) -> ArchitectureError { fail(flaw.explanation) }

    /// Numbers that are known; nil if the value is computed.
    fileprivate func constant(at index: Int) throws -> Tensor? {
        if case .constant(let tensor) = try value(at: index) { tensor } else { nil }
    }
}
