// Interleaved groups of channels.

import GraftTensors

extension Op {
    /// Splits the channels into `groups` and interleaves them (ShuffleNet, arXiv:1707.01083).
    public struct ChannelShuffle: OpRule {
        /// The name in files.
        public static let name = "channelShuffle"
        /// The number of groups.
        public var groups: Int

        /// The name in a summary.
        public var kind: String { "channel_shuffle" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            guard groups > 0, x[1] % groups == 0 else {
                throw .unfitGroups(groups, inputs: x[1], outputs: x[1])
            }
            return [ValueType(x, element: inputs[0].element)]
        }
    }

    /// Interleaves `groups` of channels.
    public static func channelShuffle(groups: Int) -> Op {
        .channelShuffle(ChannelShuffle(groups: groups))
    }
}
