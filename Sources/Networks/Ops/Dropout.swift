// What only training does: elements and samples that are zeroed.

import GraftTensors

extension Op {
    /// Zeroes elements with this probability in training and scales the rest; identity otherwise.
    public struct Dropout: OpRule {
        /// The name in files.
        public static let name = "dropout"
        /// The probability that an element is zeroed.
        public var rate: Float

        /// The name in a summary.
        public var kind: String { "dropout" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one(), element: inputs[0].element)]
        }
    }

    /// Zeroes a whole sample of a residual branch in training (arXiv:1603.09382).
    public struct DropPath: OpRule {
        /// The name in files.
        public static let name = "dropPath"
        /// The probability that a sample is zeroed.
        public var rate: Float

        /// The name in a summary.
        public var kind: String { "drop_path" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one(), element: inputs[0].element)]
        }
    }

    /// Zeroes elements in training.
    public static func dropout(rate: Float) -> Op { .dropout(Dropout(rate: rate)) }

    /// Zeroes whole samples in training.
    public static func dropPath(rate: Float) -> Op { .dropPath(DropPath(rate: rate)) }
}
