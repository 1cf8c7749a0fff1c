// Where images enter a network.

import GraftTensors

extension Op {
    /// The images: N × C × H × W.
    public struct Input: OpRule {
        /// The name in files.
        public static let name = "input"
        /// The number of channels.
        public var channels: Int

        /// The name in a summary.
        public var kind: String { "input" }
        /// Where values enter.
        public var family: OpFamily { .input }

        /// The value that is handed in, of any height and width.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let shape = try inputs.one()
            guard shape.rank == 4, shape.dimensions.allSatisfy({ $0 > 0 }), shape[1] == channels
            else { throw .unfitInput(shape, channels: channels) }
            return inputs
        }
    }

    /// The images: N × `channels` × H × W.
    public static func input(channels: Int) -> Op { .input(Input(channels: channels)) }
}
