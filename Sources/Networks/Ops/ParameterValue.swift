// A weight as a value of its own, which any number of nodes may read.

public import GraftTensors

extension Op {
    /// A weight as a value: class tokens, position tables, matrices that several nodes share, constants.
    ///
    /// It reads nothing. Its gradient is the sum over its readers.
    public struct ParameterValue: OpRule {
        /// The name in files.
        public static let name = "parameter"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The sizes of the weight, which are those of the value.
        public var shape: Shape
        /// Whether training may change it; constants of a file do not learn.
        public var learns: Bool

        /// The name in a summary.
        public var kind: String { "parameter" }
        /// Where values enter.
        public var family: OpFamily { .input }
        /// The same for every sample.
        public var treatsSamplesAlone: Bool { false }

        /// The weight.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.isEmpty else { throw .inputCount(expected: 0, found: inputs.count) }
            guard shape.dimensions.allSatisfy({ $0 > 0 }) else { throw .nothingLeft(shape) }
            return [ValueType(shape)]
        }

        /// The weight itself.
        public func parameters(reading inputs: [ValueType]) throws(OpFlaw) -> [ExpectedParameter] {
            [ExpectedParameter(learns ? .value : .constant, shape: shape)]
        }
    }

    /// A weight of this shape as a value; a constant if it does not learn.
    public static func parameter(_ shape: Shape, learns: Bool) -> Op {
        .parameter(ParameterValue(shape: shape, learns: learns))
    }
}
