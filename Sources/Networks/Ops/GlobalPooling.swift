// Maxima and means of whole maps, and of a grid over them.

import GraftTensors

extension Op {
    /// The mean over H and W.
    public struct GlobalAveragePool: OpRule {
        /// The name in files.
        public static let name = "globalAveragePool"
        /// Whether the result is (N, C, 1, 1) and not (N, C).
        public var keepsDimensions: Bool

        /// The name in a summary.
        public var kind: String { "global_average_pool" }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// Scores stay apart.
        public var keepsScores: Bool { true }

        /// A value per channel.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            return [
                ValueType(
                    keepsDimensions ? [x[0], x[1], 1, 1] : [x[0], x[1]],
                    element: inputs[0].element)
            ]
        }
    }

    /// The maximum over H and W.
    public struct GlobalMaxPool: OpRule {
        /// The name in files.
        public static let name = "globalMaxPool"
        /// Whether the result is (N, C, 1, 1) and not (N, C).
        public var keepsDimensions: Bool

        /// The name in a summary.
        public var kind: String { "global_max_pool" }
        /// A pooling.
        public var family: OpFamily { .pooling }

        /// A value per channel.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            return [
                ValueType(
                    keepsDimensions ? [x[0], x[1], 1, 1] : [x[0], x[1]],
                    element: inputs[0].element)
            ]
        }
    }

    /// The mean of each of `height` × `width` cells that tile the map as PyTorch's
    /// `AdaptiveAvgPool2d`: cell i covers ⌊i·in/out⌋ ..< ⌈(i+1)·in/out⌉.
    public struct AdaptiveAveragePool: OpRule {
        /// The name in files.
        public static let name = "adaptiveAveragePool"
        /// Rows of cells.
        public var height: Int
        /// Columns of cells.
        public var width: Int

        /// The name in a summary.
        public var kind: String { "adaptive_average_pool" }
        /// A pooling.
        public var family: OpFamily { .pooling }

        /// A map with a value per cell.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            guard height > 0, width > 0 else { throw .unfitCells(Extent(height, width)) }
            return [ValueType([x[0], x[1], height, width])]
        }
    }

    /// The mean over H and W; `keepsDimensions` leaves (N, C, 1, 1) instead of (N, C).
    public static func globalAveragePool(keepsDimensions: Bool) -> Op {
        .globalAveragePool(GlobalAveragePool(keepsDimensions: keepsDimensions))
    }

    /// The maximum over H and W; `keepsDimensions` leaves (N, C, 1, 1) instead of (N, C).
    public static func globalMaxPool(keepsDimensions: Bool) -> Op {
        .globalMaxPool(GlobalMaxPool(keepsDimensions: keepsDimensions))
    }

    /// The mean of each of `height` × `width` cells.
    public static func adaptiveAveragePool(height: Int, width: Int) -> Op {
        .adaptiveAveragePool(AdaptiveAveragePool(height: height, width: width))
    }
}
