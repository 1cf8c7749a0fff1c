// Some of the channels.

import GraftTensors

extension Op {
    /// Channels `start ..< start + count`.
    public struct Slice: OpRule {
        /// The name in files.
        public static let name = "slice"
        /// The first channel.
        public var start: Int
        /// The number of channels.
        public var count: Int

        /// The name in a summary.
        public var kind: String { "slice" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A value of `count` channels.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.channeled()
            guard start >= 0, count > 0, start <= x[1] - count else {
                throw .unfitChannels(start: start, count: count, x)
            }
            x[1] = count
            return [ValueType(x)]
        }
    }

    /// Channels `start ..< start + count`.
    public static func slice(start: Int, count: Int) -> Op {
        .slice(Slice(start: start, count: count))
    }
}
