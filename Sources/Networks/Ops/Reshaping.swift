// Maps as vectors and back.

import GraftTensors

extension Op {
    /// (N, C, H, W) as (N, C·H·W).
    public struct Flatten: OpRule {
        /// The name in files.
        public static let name = "flatten"
        /// Whether elements come in the order (h, w, c), as Keras flattens its maps, and not (c, h, w).
        public var channelsLast: Bool

        /// The name in a summary.
        public var kind: String { "flatten" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// Vectors.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            guard let count = Shape([x[1], x[2], x[3]]).checkedCount else { throw .tooLarge(x) }
            return [ValueType([x[0], count], element: inputs[0].element)]
        }
    }

    /// (N, C) as (N, C, H, W) of equal count, elements in the order of ``Flatten``.
    public struct Reshape: OpRule {
        /// The name in files.
        public static let name = "reshape"
        /// Channels of the map.
        public var channels: Int
        /// Rows of the map.
        public var height: Int
        /// Columns of the map.
        public var width: Int
        /// Whether elements come in the order (h, w, c).
        public var channelsLast: Bool

        /// The name in a summary.
        public var kind: String { "reshape" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A map.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            let target: Shape = [x.rank > 0 ? x[0] : 1, channels, height, width]
            guard channels > 0, height > 0, width > 0, target.checkedCount == x.checkedCount else {
                throw .unfitReshape(x, to: target)
            }
            return [ValueType(target, element: inputs[0].element)]
        }
    }

    /// A map as vectors; `channelsLast` orders the elements (h, w, c) and not (c, h, w).
    public static func flatten(channelsLast: Bool) -> Op {
        .flatten(Flatten(channelsLast: channelsLast))
    }

    /// Vectors as a map.
    public static func reshape(channels: Int, height: Int, width: Int, channelsLast: Bool) -> Op {
        .reshape(
            Reshape(channels: channels, height: height, width: width, channelsLast: channelsLast))
    }
}
