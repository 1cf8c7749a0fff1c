// Several values joined along an axis.

import GraftTensors

extension Op {
    /// Values of equal sizes but for one axis, joined along it.
    public struct Concatenate: OpRule {
        /// The name in files.
        public static let name = "concatenate"
        /// The format of the native file that can say this.
        public var formatVersion: Int { axis == 1 ? 1 : 2 }
        /// The axis: the channels, unless another is given.
        public var axis: Int

        /// The name in a summary.
        public var kind: String { "concatenate" }
        /// A combination.
        public var family: OpFamily { .combination }

        /// Where the samples are not joined.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value with all elements of the axis.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard var result = inputs.first?.shape else {
                throw .tooFewInputs(minimum: 1, found: 0)
            }
            guard 0..<result.rank ~= axis else { throw .unfitAxes([axis], result) }
            for input in inputs.dropFirst() {
                let shape = input.shape
                var expected = result
                guard shape.rank == result.rank else {
                    throw .unfitConcatenation(shape, to: result)
                }
                expected[axis] = shape[axis]
                guard shape == expected else { throw .unfitConcatenation(shape, to: result) }
                let (sum, overflow) = result[axis].addingReportingOverflow(shape[axis])
                guard !overflow else { throw .tooLarge(shape) }
                result[axis] = sum
            }
            return [ValueType(result, element: inputs[0].element)]
        }

        private enum CodingKeys: String, CodingKey {
            case axis
        }

        /// A concatenation of the channels unless another axis is given.
        public init(axis: Int = 1) { self.axis = axis }

        /// Version 1 of the native file names no axis: it has the channels only.
        public init(from decoder: any Decoder) throws {
            let container = try decoder.container(keyedBy: CodingKeys.self)
            axis = try container.decodeIfPresent(Int.self, forKey: .axis) ?? 1
        }

        /// Writes what version 1 has as version 1 does.
        public func encode(to encoder: any Encoder) throws {
            var container = encoder.container(keyedBy: CodingKeys.self)
            if axis != 1 { try container.encode(axis, forKey: .axis) }
        }
    }

    /// Values joined along the channels.
    public static var concatenate: Op { .concatenate(Concatenate()) }

    /// Values joined along an axis.
    public static func concatenate(axis: Int) -> Op { .concatenate(Concatenate(axis: axis)) }
}
