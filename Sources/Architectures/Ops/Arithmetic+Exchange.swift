// Sums, products, differences and means of values in ONNX and Keras.

import GraftNetworks
import GraftTensors

extension Op.Add: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.chain("Add", at: site)
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("Add", at: site)
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool { inputs.allSatisfy(\.self) }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        switch try reader.operands(of: node) {
        case .values(let a, let b): try reader.emit(.add, for: node, reading: [a, b])
        case .constants(let x, let values, _):
            try reader.emit(.affine(scale: [1], shift: values), for: node, reading: [x])
        }
    }

    static func readONNXSubtraction(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        switch try reader.operands(of: node) {
        case .values(let a, let b):
            guard reader.builder.shapes[a] == reader.builder.shapes[b],
                reader.builder.shapes[b].rank >= 2
            else { return try reader.emit(.binary(.subtract), for: node, reading: [a, b]) }
            let negative = try reader.emit(
                .affine(scale: [-1], shift: [0]), for: node, reading: [b], suffix: ".negative")
            return try reader.emit(.add, for: node, reading: [a, negative])
        case .constants(let x, let values, comeFirst: false):
            return try reader.emit(
                .affine(scale: [1], shift: values.map { -$0 }), for: node, reading: [x])
        case .constants(let x, let values, comeFirst: true):
            return try reader.emit(.affine(scale: [-1], shift: values), for: node, reading: [x])
        }
    }

    /// `Sum` of any number of values.
    static func readONNXSum(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let inputs = try reader.operands(of: node, count: node.inputs.count)
        guard let first = inputs.first else { throw node.readsNothing }
        return inputs.count == 1 ? first : try reader.emit(.add, for: node, reading: inputs)
    }

    /// `Mean` of any number of values.
    static func readONNXMean(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        let inputs = try reader.operands(of: node, count: node.inputs.count)
        guard let first = inputs.first else { throw node.readsNothing }
        guard inputs.count > 1 else { return first }
        let sum = try reader.emit(.add, for: node, reading: inputs, suffix: ".sum")
        return try reader.emit(
            .affine(scale: [1 / Float(inputs.count)], shift: [0]), for: node, reading: [sum])
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        call.inputs.count == 1 ? call.x : try reader.add(.add, for: call, reading: call.inputs)
    }

    static func readKerasAverage(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        let sum = try reader.add(.add, for: call, suffix: "_sum", reading: call.inputs)
        let share = 1 / Float(call.inputs.count)
        return try reader.add(.affine(scale: [share], shift: [0]), for: call, reading: [sum])
    }

    static func readKerasSubtract(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        guard call.inputs.count == 2 else {
            throw call.fail("it reads \(call.inputs.count) values")
        }
        return try reader.subtract(call.inputs[1], from: call.x, for: call)
    }
}

extension Op.Multiply: ExportableOp {
    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.chain("Mul", at: site)
    }

    func write(at site: KerasSite, to model: inout KerasModel) -> Int {
        model.layer("Multiply", at: site)
    }

    static func readONNX(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        switch try reader.operands(of: node) {
        case .values(let a, let b):
            // x · sigmoid(x) is one operation.
            let nodes = reader.builder.nodes
            for (x, gate) in [(a, b), (b, a)]
            where nodes[gate].op == .activation(.sigmoid) && nodes[gate].inputs == [x] {
                return try reader.emit(.activation(.swish), for: node, reading: [x])
            }
            return try reader.emit(.multiply, for: node, reading: [a, b])
        case .constants(let x, let values, _):
            return try reader.emit(.affine(scale: values, shift: [0]), for: node, reading: [x])
        }
    }

    static func readKeras(_ call: KerasCall, in reader: inout KerasReader) throws -> Int {
        call.inputs.count == 1
            ? call.x : try reader.add(.multiply, for: call, reading: call.inputs)
    }

    /// The function `square`.
    static func readKerasSquare(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        try reader.add(.multiply, for: call, reading: [call.x, call.x])
    }

    /// The functions `pow` and `power` with an exponent of 2.
    static func readKerasPower(_ call: KerasCall, in reader: inout KerasReader) throws -> Int? {
        guard call.operands.count == 2, case .value(0) = call.operands[0],
            case .constant(let exponent) = call.operands[1], exponent.values == [2]
        else { throw call.fail("graft raises to the power of 2 only") }
        return try readKerasSquare(call, in: &reader)
    }
}

extension ONNXGraph {
    /// Adds an operator of two operands as often as a node has inputs.
    fileprivate mutating func chain(_ type: String, at site: ONNXSite) -> String {
        var result = site.x
        for (index, input) in site.inputs.enumerated().dropFirst() {
            let isLast = index == site.inputs.count - 1
            result = emit(
                type, name: isLast ? site.name : "\(site.name).\(index)", inputs: [result, input])
        }
        return result
    }
}

/// The operands of an operator of two.
enum ONNXOperands {
    case values(Int, Int)
    /// A value, and one constant for all of it or one per channel.
    case constants(Int, [Float], comeFirst: Bool)
}

extension ONNXReader {
    /// The two operands of a node; constants that are not one by channel become values.
    mutating func operands(of node: ONNXNode) throws -> ONNXOperands {
        guard node.inputs.count == 2 else { throw node.fail(.missing(.input)) }
        switch (try node.value(at: 0), try node.value(at: 1)) {
        case (.node(let x), .constant(let tensor)):
            if let known = channelConstants(tensor, for: x) {
                return .constants(x, known, comeFirst: false)
            }
        case (.constant(let tensor), .node(let x)):
            if let known = channelConstants(tensor, for: x) {
                return .constants(x, known, comeFirst: true)
            }
        default: break
        }
        return .values(try operand(of: node, at: 0), try operand(of: node, at: 1))
    }

    /// The constants of a broadcast over all of node `x` or by channel.
    func constants(_ tensor: Tensor, for x: Int, of node: ONNXNode) throws -> [Float] {
        guard let constants = channelConstants(tensor, for: x) else {
            throw node.fail(
                "its constants \(tensor.shape) are not one a channel of \(builder.shapes[x])")
        }
        return constants
    }

    /// The same; nil if the constants are neither one nor one by channel.
    private func channelConstants(_ tensor: Tensor, for x: Int) -> [Float]? {
        let shape = builder.shapes[x]
        let kept = tensor.shape.dimensions
        guard shape.rank >= 2, kept.count <= shape.rank else { return nil }
        if tensor.count == 1 { return tensor.floats }
        let trailing = shape.rank - 2
        guard tensor.count == shape[1], kept.count >= trailing + 1,
            kept.suffix(trailing).allSatisfy({ $0 == 1 }),
            kept[kept.count - trailing - 1] == shape[1]
        else { return nil }
        return tensor.floats
    }
}

/// Keras' functions of two operands.
enum KerasBinary: String {
    case add
    case biasAdd = "bias_add"
    case subtract
    case multiply
    case divide
    case maximum
    case minimum
}

extension KerasReader {
    /// Adds x − y.
    fileprivate mutating func subtract(_ y: Int, from x: Int, for call: KerasCall) throws -> Int {
        let negative = try add(
            .affine(scale: [-1], shift: [0]), for: call, suffix: "_negative", reading: [y])
        return try add(.add, for: call, reading: [x, negative])
    }

    /// Adds a function of two operands, of which one may be a constant.
    mutating func binary(_ function: KerasBinary, of call: KerasCall) throws -> Int {
        switch (call.operands[0], call.operands[1]) {
        case (.value(let a), .constant(let constant)):
            let x = call.inputs[a]
            let c = try constants(constant, for: x, of: call)
            switch function {
            case .add, .biasAdd: return try affine(x, shift: c, for: call)
            case .subtract: return try affine(x, shift: c.map { -$0 }, for: call)
            case .multiply: return try affine(x, scale: c, for: call)
            case .divide: return try affine(x, scale: c.map { 1 / $0 }, for: call)
            case .maximum, .minimum:
                if let result = try limited(x, by: c, function, for: call) { return result }
            }
        case (.constant(let constant), .value(let b)):
            let x = call.inputs[b]
            let c = try constants(constant, for: x, of: call)
            switch function {
            case .add: return try affine(x, shift: c, for: call)
            case .subtract: return try affine(x, scale: [-1], shift: c, for: call)
            case .multiply: return try affine(x, scale: c, for: call)
            case .maximum, .minimum:
                if let result = try limited(x, by: c, function, for: call) { return result }
            case .biasAdd, .divide: break
            }
        case (.value(let a), .value(let b)):
            let x = call.inputs[a]
            let y = call.inputs[b]
            switch function {
            case .add: return try add(.add, for: call, reading: [x, y])
            case .multiply: return try add(.multiply, for: call, reading: [x, y])
            case .subtract: return try subtract(y, from: x, for: call)
            case .biasAdd, .divide, .maximum, .minimum: break
            }
        case (.constant, .constant): break
        }
        throw call.fail(
            "graft does not know the operation `\(function.rawValue)` on these operands")
    }

    private mutating func affine(
        _ x: Int, scale: [Float] = [1], shift: [Float] = [0], for call: KerasCall
    ) throws -> Int {
        guard (scale + shift).allSatisfy(\.isFinite) else {
            throw call.fail("it computes with a constant that is 0 or not finite")
        }
        let count = max(scale.count, shift.count)
        func spread(_ values: [Float]) -> [Float] {
            values.count == count ? values : Array(repeating: values[0], count: count)
        }
        return try add(
            .affine(scale: spread(scale), shift: spread(shift)), for: call, reading: [x])
    }

    /// Adds the maximum or minimum of a value and one constant; nil for several constants.
    private mutating func limited(
        _ x: Int, by constants: [Float], _ function: KerasBinary, for call: KerasCall
    ) throws -> Int? {
        guard constants.count == 1 else { return nil }
        let isLower = function == .maximum
        return try builder.clipped(
            x, from: isLower ? constants[0] : -.infinity, to: isLower ? .infinity : constants[0],
            name: call.name)
    }

    private func constants(
        _ constant: KerasConstant, for x: Int, of call: KerasCall
    ) throws -> [Float] {
        let channels = builder.shapes[x][1]
        guard let values = constant.spread(over: channels) else {
            throw call.fail(
                "its constant has \(constant.values.count) numbers, expected 1 or one for each of "
                    + "\(channels) channels")
        }
        return values
    }
}
