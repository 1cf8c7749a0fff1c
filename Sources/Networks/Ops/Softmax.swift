// Probabilities from scores, and vectors of length 1.

import GraftTensors

extension Op {
    /// `exp(x) / Σ exp(x)` over one axis.
    public struct Softmax: OpRule {
        /// The name in files.
        public static let name = "softmax"
        /// The format of the native file that can say this.
        public var formatVersion: Int { axis == 1 && !isLogarithmic ? 1 : 2 }
        /// The axis along which the results add up to 1: the channels, unless another is given.
        public var axis: Int
        /// Whether the logarithm of that is taken.
        public var isLogarithmic: Bool

        /// The name in a summary.
        public var kind: String { "softmax" }
        /// An activation.
        public var family: OpFamily { .activation }

        /// Where it does not go over the samples.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            return [ValueType(x)]
        }

        private enum CodingKeys: String, CodingKey {
            case axis
            case isLogarithmic = "log"
        }

        /// Probabilities, or their logarithms.
        public init(axis: Int = 1, isLogarithmic: Bool = false) {
            self.axis = axis
            self.isLogarithmic = isLogarithmic
        }

        /// Version 1 of the native file names no axis: it has the channels only.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            axis = try container.decodeIfPresent(Int.self, forKey: .axis) ?? 1
            isLogarithmic =
                try container.decodeIfPresent(Bool.self, forKey: .isLogarithmic) ?? false
        }

        /// Writes what version 1 has as version 1 does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if axis != 1 { try container.encode(axis, forKey: .axis) }
            if isLogarithmic { try container.encode(true, forKey: .isLogarithmic) }
        }
    }

    /// `x / max(‖x‖₂, 1e-12)` over the channel axis, as PyTorch's `functional.normalize`. Zeros stay
    /// zeros.
    public struct UnitNorm: OpRule {
        /// The name in files.
        public static let name = "unitNorm"
        /// The name in a summary.
        public var kind: String { "unit_norm" }
        /// A normalisation.
        public var family: OpFamily { .normalization }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one())]
        }
    }

    /// Probabilities over the channels.
    public static var softmax: Op { .softmax(Softmax()) }

    /// Probabilities over an axis, or their logarithms.
    public static func softmax(axis: Int, isLogarithmic: Bool = false) -> Op {
        .softmax(Softmax(axis: axis, isLogarithmic: isLogarithmic))
    }

    /// Vectors of length 1.
    public static var unitNorm: Op { .unitNorm(UnitNorm()) }
}
