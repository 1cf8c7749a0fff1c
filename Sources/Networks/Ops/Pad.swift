// Constants around a map.

import GraftTensors

extension Op {
    /// Adds `value` around the map; negative amounts crop.
    public struct Pad: OpRule {
        /// The name in files.
        public static let name = "pad"
        /// Rows and columns on each side.
        public var padding: Padding
        /// What they hold.
        public var value: Float

        /// `value` around the map.
        package init(padding: Padding, value: Float) {
            self.padding = padding
            self.value = value
        }

        /// The name in a summary.
        public var kind: String { "pad" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A map of another size.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            for amount in [padding.top, padding.left, padding.bottom, padding.right]
            where !(-Window.maximumExtent...Window.maximumExtent).contains(amount) {
                throw .unfitPadding(amount)
            }
            let height = x[2] + padding.top + padding.bottom
            let width = x[3] + padding.left + padding.right
            guard height > 0, width > 0 else { throw .nothingLeft(x) }
            return [ValueType([x[0], x[1], height, width], element: inputs[0].element)]
        }

        /// The names of version 1 of the native file.
        private enum CodingKeys: String, CodingKey {
            case padding = "_0"
            case value
        }
    }

    /// Adds `value` around the map; negative amounts crop.
    public static func pad(_ padding: Padding, value: Float) -> Op {
        .pad(Pad(padding: padding, value: value))
    }
}
