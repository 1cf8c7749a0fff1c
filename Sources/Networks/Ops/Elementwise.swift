// Functions of numbers that are not called activations, of one value and of two.

import GraftTensors

extension Op {
    /// A function of each number.
    public struct Elementwise: OpRule {
        /// The functions, under ONNX's names.
        public enum Function: String, Sendable, Hashable, Codable, CaseIterable {
            case abs, neg, exp, log, sqrt, reciprocal, erf, sign, floor, ceil, round
            case sin, cos, tan, asin, acos, atan, sinh, cosh, asinh, acosh, atanh
        }
        /// The name in files.
        public static let name = "elementwise"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// What is computed; `round` rounds halves to even.
        public var function: Function

        /// The name in a summary: that of the function.
        public var kind: String { function.rawValue }
        /// An activation.
        public var family: OpFamily { .activation }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one(), element: inputs[0].element)]
        }
    }

    /// A function of two numbers, values repeated to fit as NumPy does.
    public struct Binary: OpRule {
        /// The functions; sums and products of any number of values are ``Op/add`` and ``Op/multiply``.
        public enum Function: String, Sendable, Hashable, Codable, CaseIterable {
            case subtract, divide, power, minimum, maximum
            /// The remainder with the sign of the divisor, as Python has it.
            case modulo
            /// The remainder with the sign of the dividend, as C has it.
            case remainder
        }
        /// The name in files.
        public static let name = "binary"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// What is computed of the first and the second value.
        public var function: Function

        /// The name in a summary: that of the function.
        public var kind: String { function.rawValue }
        /// A combination.
        public var family: OpFamily { .combination }
        /// A value without a batch may be repeated.
        public var treatsSamplesAlone: Bool { false }

        /// A value of the sizes of both together.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            guard let shape = inputs[0].shape.broadcast(with: inputs[1].shape) else {
                throw .unfitBroadcast(inputs[1].shape, with: inputs[0].shape)
            }
            return [ValueType(shape, element: inputs[0].element)]
        }
    }

    /// A function of each number.
    public static func elementwise(_ function: Elementwise.Function) -> Op {
        .elementwise(Elementwise(function: function))
    }

    /// A function of two values.
    public static func binary(_ function: Binary.Function) -> Op {
        .binary(Binary(function: function))
    }
}
