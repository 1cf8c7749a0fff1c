// Several values joined along the channels.

import GraftTensors

extension Op {
    /// Values of equal sizes but for the channels, joined along the channel axis.
    public struct Concatenate: OpRule {
        /// The name in files.
        public static let name = "concatenate"
        /// The name in a summary.
        public var kind: String { "concatenate" }
        /// A combination.
        public var family: OpFamily { .combination }

        /// A value with all channels.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard var result = inputs.first?.shape else {
                throw .tooFewInputs(minimum: 1, found: 0)
            }
            guard result.rank >= 2 else { throw .noChannels(result) }
            for input in inputs.dropFirst() {
                let shape = input.shape
                var expected = result
                guard shape.rank == result.rank else {
                    throw .unfitConcatenation(shape, to: result)
                }
                expected[1] = shape[1]
                guard shape == expected else { throw .unfitConcatenation(shape, to: result) }
                result[1] += shape[1]
            }
            return [ValueType(result)]
        }
    }

    /// Values joined along the channels.
    public static var concatenate: Op { .concatenate(Concatenate()) }
}
