// What each ATen operator is in a graph: the table that a reader of programs follows.

internal import GraftSchemas
import GraftTensors

/// The reader of an ATen operator.
struct ATenOperator: Sendable {
    /// Whether its value shares the numbers of its operand.
    var isView = false
    /// Writes a call down and returns the draft's names of its values.
    let read: @Sendable (ATenCall, inout ATenReader) throws -> [String]

    init(
        isView: Bool = false,
        read: @escaping @Sendable (ATenCall, inout ATenReader) throws -> [String]
    ) {
        self.isView = isView
        self.read = read
    }

    /// An operator of one value.
    static func value(
        isView: Bool = false,
        _ read: @escaping @Sendable (ATenCall, inout ATenReader) throws -> String
    ) -> ATenOperator {
        ATenOperator(isView: isView) { [try read($0, &$1)] }
    }

    /// An operator of one operand that ONNX has too.
    static func unary(_ type: String) -> ATenOperator {
        value { call, reader in
            let x = try reader.value(try call.tensor("self"), for: call)
            return reader.draft.emit(type, name: call.path, inputs: [x])
        }
    }

    /// An operator of two operands, the second of which may be a number.
    static func binary(_ type: String) -> ATenOperator {
        value { call, reader in
            let inputs = try reader.operands(call)
            return reader.draft.emit(type, name: call.path, inputs: inputs)
        }
    }

    /// An operator whose value is its operand when a model answers.
    static let passing = value(isView: true) { call, reader in
        guard let name = call.operand else { throw call.fail(.readsNothing) }
        return try reader.value(name, for: call)
    }

    /// The same, with numbers of its own.
    static let copying = value { call, reader in
        guard let name = call.operand else { throw call.fail(.readsNothing) }
        return try reader.value(name, for: call)
    }

    /// An operator that only checks.
    static let silent = ATenOperator { _, _ in [] }

    /// Every operator that is read, by its name and overload.
    static let all: [String: ATenOperator] =
        simple
        .merging(windows) { $1 }.merging(moves) { $1 }.merging(numbers) { $1 }
        .merging(reductions) { $1 }.merging(constants) { $1 }

    private static let simple: [String: ATenOperator] = [
        "abs.default": unary("Abs"), "acos.default": unary("Acos"), "asin.default": unary("Asin"),
        "atan.default": unary("Atan"), "bitwise_not.default": unary("Not"),
        "ceil.default": unary("Ceil"), "cos.default": unary("Cos"), "erf.default": unary("Erf"),
        "exp.default": unary("Exp"), "floor.default": unary("Floor"),
        "hardswish.default": unary("HardSwish"), "log.default": unary("Log"),
        "logical_not.default": unary("Not"), "mish.default": unary("Mish"),
        "neg.default": unary("Neg"), "reciprocal.default": unary("Reciprocal"),
        "relu.default": unary("Relu"), "round.default": unary("Round"),
        "selu.default": unary("Selu"), "sigmoid.default": unary("Sigmoid"),
        "sign.default": unary("Sign"), "sin.default": unary("Sin"),
        "softplus.default": unary("Softplus"), "sqrt.default": unary("Sqrt"),
        "tan.default": unary("Tan"), "tanh.default": unary("Tanh"),
        "__and__.Tensor": binary("And"), "__or__.Tensor": binary("Or"),
        "eq.Scalar": binary("Equal"), "eq.Tensor": binary("Equal"),
        "ge.Scalar": binary("GreaterOrEqual"), "ge.Tensor": binary("GreaterOrEqual"),
        "gt.Scalar": binary("Greater"), "gt.Tensor": binary("Greater"),
        "le.Scalar": binary("LessOrEqual"), "le.Tensor": binary("LessOrEqual"),
        "logical_and.default": binary("And"), "logical_or.default": binary("Or"),
        "lt.Scalar": binary("Less"), "lt.Tensor": binary("Less"),
        "maximum.default": binary("Max"), "minimum.default": binary("Min"),
        "mul.Scalar": binary("Mul"), "mul.Tensor": binary("Mul"),
        "remainder.Scalar": binary("Mod"), "remainder.Tensor": binary("Mod"),
        "alias.default": passing, "contiguous.default": passing, "detach.default": passing,
        "clone.default": copying, "dropout.default": copying, "feature_dropout.default": copying,
        "lift_fresh_copy.default": copying, "alpha_dropout.default": copying,
        "to.device": copying,
        "_assert_async.msg": silent, "_is_all_true.default": silent, "item.default": silent,
        "sym_ite": silent, "_assert_scalar.default": silent,
        "_assert_tensor_metadata.default": silent,
        "_operator.eq": silent, "_operator.ge": silent, "_operator.le": silent,
        "_operator.gt": silent, "_operator.lt": silent,
        "sym_constrain_range_for_size.default": silent, "sym_constrain_range.default": silent,
    ]
}

extension ATenReader {
    /// The two operands of a call, the second of which may be a number.
    mutating func operands(
        _ call: ATenCall, real: Bool = false
    ) throws -> [String] {
        let name = try call.tensor("self")
        var x = try value(name, for: call)
        let other = call.optionalTensor("other")
        let isReal = isReal(name) || other.map(self.isReal) ?? !call.isInteger("other") || real
        if isReal, !self.isReal(name) { x = cast(x, to: 1, name: call.path + ".self") }
        guard let other else {
            return [
                x, try constant(try number(call, argument: "other"), isReal: isReal, for: call),
            ]
        }
        var y = try value(other, for: call)
        if isReal, !self.isReal(other) { y = cast(y, to: 1, name: call.path + ".other") }
        return [x, y]
    }

    func number(_ call: ATenCall, argument name: String) throws -> Double {
        guard let number = call.number(name) else { throw call.fail(.noNumber(name)) }
        return number
    }

    /// Adds a number of the kind of the values that it meets.
    mutating func constant(_ number: Double, isReal: Bool, for call: ATenCall) throws -> String {
        guard !isReal else { return draft.constant(Float(number), name: call.path + ".number") }
        guard let whole = Int(exactly: number) else {
            throw call.fail(.noInteger(number))
        }
        return draft.constant(integer: whole, name: call.path + ".number")
    }

    /// Adds another type, by ONNX' number of it.
    mutating func cast(_ x: String, to type: Int, name: String) -> String {
        draft.emit("Cast", name: name + ".cast", inputs: [x], attributes: ["to": .integer(type)])
    }

    /// ONNX' number of a type of the schema.
    func type(_ code: Int, for call: ATenCall) throws -> Int {
        let types = [
            1: 2, 2: 3, 3: 5, 4: 6, 5: 7, 6: 1, 7: 1, 8: 1, 12: 9, 13: 1,
        ]
        guard let type = types[code] else { throw call.fail(.type(code)) }
        return type
    }
}
