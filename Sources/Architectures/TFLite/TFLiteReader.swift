// The walk over a TFLite graph: which order of axes each value is in, and what its integers stand for.

internal import GraftSchemas
import GraftTensors

/// Writes a TFLite graph down as ONNX operators.
///
/// TFLite has maps as (N, H, W, C), graft as (N, C, H, W). A value is kept in whichever order the step
/// before made it, and is turned only where a step needs the other one; what works element by element,
/// joins, pads or cuts does so in either.
struct TFLiteReader {
    /// The names by which the draft knows a tensor: as the file has it, and with channels first.
    private struct Value {
        var plain: String?
        var first: String?
    }

    /// The places of the axes (N, H, W, C) in (N, C, H, W), and the axis that each of those is.
    static let places = [0, 2, 3, 1]
    static let order = [0, 3, 1, 2]

    let model: TFLiteModel
    var draft: ONNXDraft
    private var values: [Value]
    /// Weights that are other tensors' numbers, in another type.
    private var sources: [Int: Int] = [:]
    /// The most axes of a value.
    static let maximumRank = 8

    init(_ model: TFLiteModel) {
        self.model = model
        var names = StateDict()
        for tensor in model.tensors where tensor.numbers != nil {
            names[tensor.name] = tensor.numbers
        }
        for port in model.inputs + model.outputs {
            names[port.name] = names[port.name] ?? Self.empty
        }
        draft = ONNXDraft(reserved: names)
        values = model.tensors.map { _ in Value() }
    }

    private static let empty = LazyTensor(Tensor([0], shape: [1]))

    // MARK: Inputs and outputs

    mutating func addInputs() throws {
        guard model.graphCount >= 1, !model.inputs.isEmpty, !model.outputs.isEmpty else {
            throw ArchitectureError.tflite(
                operator: "graph", reason: "expected inputs and outputs, found none")
        }
        for port in model.inputs {
            let shape = model.tensors[port.tensor].shape
            guard shape.allSatisfy((1...65536).contains) else {
                throw ArchitectureError.tflite(
                    operator: port.name, reason: "expected sizes of 1 to 65536, found \(shape)")
            }
            let isMap = shape.count == 4
            let sizes = isMap ? Self.order.map { shape[$0] } : shape
            draft.input(named: port.name, shape: sizes)
            values[port.tensor] = isMap ? Value(first: port.name) : Value(plain: port.name)
        }
    }

    mutating func addOutputs() throws {
        for port in model.outputs {
            let isMap = model.tensors[port.tensor].shape.count == 4
            let call = TFLiteCall(
                step: .init(type: "output", inputs: [], outputs: [port.tensor]), number: 0,
                in: model)
            let value =
                try isMap ? first(port.tensor, for: call) : plain(port.tensor, for: call)
            draft.output(value, named: port.name)
        }
    }

    /// Reads a step of the file.
    mutating func add(_ call: TFLiteCall) throws {
        let type = call.step.type
        guard let row = call.step.isCustom ? TFLiteOperator.custom[type] : TFLiteOperator.all[type]
        else {
            throw call.fail(call.step.isCustom ? .unknownCustom(type) : .unknown(type))
        }
        for tensor in call.step.inputs + call.step.outputs where tensor >= 0 {
            let entry = model.tensors[tensor]
            guard !entry.isVariable else { throw call.fail(.variable(entry.name)) }
            guard entry.shape.count <= Self.maximumRank,
                entry.shape.allSatisfy({ $0 >= 0 }), Shape(entry.shape).checkedCount != nil
            else { throw call.fail(.impossible(entry.name, entry.shape)) }
        }
        try row(call, &self)
    }

    // MARK: Values

    private func shape(of tensor: Int) -> [Int] { model.tensors[tensor].shape }

    /// Whether a tensor has its channels first already.
    func isFirst(_ tensor: Int) -> Bool { values[tensor].first != nil }

    /// Whether a tensor's numbers stand in the file.
    func isConstant(_ tensor: Int) -> Bool {
        model.tensors[sources[tensor] ?? tensor].numbers != nil
    }

    /// The name of a tensor in the file's order of axes.
    mutating func plain(_ tensor: Int, for call: TFLiteCall) throws -> String {
        if let name = values[tensor].plain { return name }
        let name: String
        if isConstant(tensor) {
            let rank = try numbers(of: tensor, for: call).shape.rank
            name = try weight(tensor, order: Array(0..<rank), for: call)
        } else if let first = values[tensor].first {
            name = draft.emit(
                "Transpose", name: first + ".last", inputs: [first],
                attributes: ["perm": .integers([0, 2, 3, 1])])
        } else {
            throw call.fail(.missing(model.tensors[tensor].name))
        }
        values[tensor].plain = name
        return name
    }

    /// The name of a tensor of four axes with its channels first.
    mutating func first(_ tensor: Int, for call: TFLiteCall) throws -> String {
        if let name = values[tensor].first { return name }
        guard shape(of: tensor).count == 4 else {
            throw call.fail(.noMap(shape(of: tensor)))
        }
        let name: String
        if isConstant(tensor) {
            name = try weight(tensor, order: Self.order, for: call)
        } else {
            let plain = try plain(tensor, for: call)
            name = draft.emit(
                "Transpose", name: plain + ".first", inputs: [plain],
                attributes: ["perm": .integers(Self.order)])
        }
        values[tensor].first = name
        return name
    }

    /// The numbers of a weight with its axes in another order, under the file's name where that is free.
    mutating func weight(
        _ tensor: Int, order: [Int], for call: TFLiteCall
    ) throws -> String {
        var numbers = try numbers(of: tensor, for: call)
        let lead = order.count - numbers.shape.rank
        guard lead >= 0 else {
            throw call.fail(.weight(numbers.shape.dimensions, rank: order.count))
        }
        if lead > 0 {
            let ones = [Int](repeating: 1, count: lead)
            numbers = numbers.reshaped(Shape(ones + numbers.shape.dimensions))
        }
        numbers = numbers.permuted(order)
        let own = model.tensors[sources[tensor] ?? tensor].name
        guard named.insert(own).inserted else {
            return draft.constant(try numbers.load(), name: own)
        }
        draft.weight(numbers, name: own)
        return own
    }
    /// The weights that are there under their own name.
    private var named: Set<String> = []

    /// Gives a step's value.
    mutating func set(_ tensor: Int, plain: String) { values[tensor] = Value(plain: plain) }
    mutating func set(_ tensor: Int, first: String) { values[tensor] = Value(first: first) }

    /// Makes `tensor` another name of `source`.
    mutating func alias(_ tensor: Int, of source: Int) {
        values[tensor] = values[source]
        if isConstant(source) {
            values[tensor] = Value()
            sources[tensor] = sources[source] ?? source
        }
    }

    // MARK: Numbers

    /// The numbers that a weight stands for: single precision, or integers.
    func numbers(of tensor: Int, for call: TFLiteCall) throws -> LazyTensor {
        let entry = model.tensors[sources[tensor] ?? tensor]
        guard let numbers = entry.numbers else {
            throw call.fail(.computed(entry.name))
        }
        if let quantization = entry.quantization, !numbers.dtype.isFloatingPoint {
            let shape = numbers.shape
            let (scales, zeros, axis) =
                (quantization.scales, quantization.zeroPoints, quantization.axis)
            guard
                scales.count == zeros.count,
                scales.count == 1
                    || shape.dimensions.indices.contains(axis) && shape[axis] == scales.count
            else {
                throw call.fail(
                    .scales(entry.name, shape.dimensions, count: scales.count, axis: axis))
            }
            let inner = scales.count == 1 ? 1 : shape.dimensions[(axis + 1)...].reduce(1, *)
            return LazyTensor(.f32, shape) {
                let values = try numbers.load().doubles
                return Tensor(
                    values.enumerated().map { place, value in
                        let channel = scales.count == 1 ? 0 : place / max(inner, 1) % scales.count
                        return Float((value - Double(zeros[channel])) * Double(scales[channel]))
                    }, shape: shape)
            }
        }
        return numbers.dtype.isFloatingPoint ? numbers.converted(to: .f32) : numbers
    }

    /// Integers that stand in the file: sizes, axes and amounts.
    func integers(of tensor: Int, for call: TFLiteCall) throws -> [Int] {
        let entry = model.tensors[sources[tensor] ?? tensor]
        guard let numbers = entry.numbers, !numbers.dtype.isFloatingPoint,
            numbers.count <= ONNXNode.maximumIntegerCount
        else { throw call.fail(.computed(entry.name)) }
        // The schema has 32 bits for most of them, which arithmetic on sizes cannot leave.
        return try numbers.load().integers.map {
            min(max($0, Int(Int32.min)), Int(Int32.max))
        }
    }

    /// The range of what a tensor's integers can stand for; nil if it is none of integers.
    func range(of tensor: Int) -> ClosedRange<Float>? {
        let entry = model.tensors[tensor]
        guard let quantization = entry.quantization, quantization.scales.count == 1,
            let scale = quantization.scales.first, scale.isFinite, scale > 0,
            let zero = quantization.zeroPoints.first
        else { return nil }
        let bounds: ClosedRange<Float>
        switch entry.dtype {
        case .i8: bounds = -128...127
        case .u8: bounds = 0...255
        default: return nil
        }
        return
            ((bounds.lowerBound - Float(zero)) * scale)...((bounds.upperBound - Float(zero))
            * scale)
    }
}
