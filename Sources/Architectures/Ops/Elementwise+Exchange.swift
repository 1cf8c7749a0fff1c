// Functions of one number and of two, in ONNX.

import GraftNetworks
import GraftTensors

extension Op.Elementwise: ExportableOp {
    /// ONNX's name of a function.
    private static func operatorName(_ function: Function) -> String {
        switch function {
        case .abs: "Abs"
        case .neg: "Neg"
        case .exp: "Exp"
        case .log: "Log"
        case .sqrt: "Sqrt"
        case .reciprocal: "Reciprocal"
        case .erf: "Erf"
        case .sign: "Sign"
        case .floor: "Floor"
        case .ceil: "Ceil"
        case .round: "Round"
        case .sin: "Sin"
        case .cos: "Cos"
        case .tan: "Tan"
        case .asin: "Asin"
        case .acos: "Acos"
        case .atan: "Atan"
        case .sinh: "Sinh"
        case .cosh: "Cosh"
        case .asinh: "Asinh"
        case .acosh: "Acosh"
        case .atanh: "Atanh"
        }
    }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) -> String {
        graph.emit(Self.operatorName(function), at: site)
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("the function `\(function.rawValue)`")
    }

    func isNonNegative(reading inputs: [Bool]) -> Bool {
        switch function {
        case .abs, .exp, .sqrt, .cosh: true
        default: false
        }
    }

    /// The operators that are functions of one number.
    static let operators: [String: ONNXOperator] = Dictionary(
        uniqueKeysWithValues: Function.allCases.map { function in
            (
                operatorName(function),
                .node { node, reader in
                    let x = try reader.operand(of: node)
                    return try reader.emit(.elementwise(function), for: node, reading: [x])
                }
            )
        })
}

extension Op.Binary: ExportableOp {
    /// ONNX's name of a function.
    private var operatorName: String {
        switch function {
        case .subtract: "Sub"
        case .divide: "Div"
        case .power: "Pow"
        case .minimum: "Min"
        case .maximum: "Max"
        case .modulo, .remainder: "Mod"
        }
    }

    func write(at site: ONNXSite, to graph: inout ONNXGraph) throws -> String {
        guard function != .modulo else { throw site.fail(.beyond(.floatModulo)) }
        return graph.emit(
            operatorName, at: site, attributes: function == .remainder ? ["fmod": 1] : [:])
    }

    func write(at site: KerasSite, to model: inout KerasModel) throws -> Int {
        throw site.unsupported("the function `\(function.rawValue)` of two values")
    }

    /// An operator of two values, or of one or more for minima and maxima.
    static func readONNX(
        _ function: Function, _ node: ONNXNode, in reader: inout ONNXReader
    ) throws -> Int {
        var values = try reader.operands(of: node, count: node.inputs.count)
        guard var result = values.first else { throw node.readsNothing }
        values.removeFirst()
        for (index, value) in values.enumerated() {
            let isLast = index == values.count - 1
            result = try reader.emit(
                .binary(function), for: node, reading: [result, value],
                suffix: isLast ? "" : ".\(index)")
        }
        return result
    }

    /// `Pow`: squares and roots by known exponents are operations of their own.
    static func readONNXPower(_ node: ONNXNode, in reader: inout ONNXReader) throws -> Int {
        if case .constant(let exponent) = try node.value(at: 1), exponent.count == 1,
            case .node(let x) = try node.value()
        {
            switch exponent.doubles[0] {
            case 1: return x
            case 2: return try reader.emit(.multiply, for: node, reading: [x, x])
            case 0.5: return try reader.emit(.elementwise(.sqrt), for: node, reading: [x])
            default: break
            }
        }
        return try reader.emit(
            .binary(.power), for: node, reading: try reader.operands(of: node, count: 2))
    }
}
