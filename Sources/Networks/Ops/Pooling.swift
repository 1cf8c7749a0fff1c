// Maxima and means of windows.

import GraftTensors

extension Op {
    /// The largest value of each window; padding counts as −∞.
    public struct MaxPool: OpRule {
        /// The name in files.
        public static let name = "maxPool"
        /// Kernel, stride, dilation and padding.
        public var window: Window

        /// The name in a summary.
        public var kind: String { "max_pool" }
        /// A pooling.
        public var family: OpFamily { .pooling }

        /// A map with a value per window.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            try window.pooled(inputs)
        }

        /// The names of version 1 of the native file.
        private enum CodingKeys: String, CodingKey {
            case window = "_0"
        }
    }

    /// The mean of each window.
    public struct AveragePool: OpRule {
        /// The name in files.
        public static let name = "averagePool"
        /// Kernel, stride, dilation and padding.
        public var window: Window
        /// Whether zeros that pad count in the divisor.
        public var countsPadding: Bool

        /// The name in a summary.
        public var kind: String { "average_pool" }
        /// A pooling.
        public var family: OpFamily { .pooling }

        /// A map with a value per window.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            try window.pooled(inputs)
        }

        /// The names of version 1 of the native file.
        private enum CodingKeys: String, CodingKey {
            case window = "_0"
            case countsPadding
        }
    }

    /// The largest value of each window.
    public static func maxPool(_ window: Window) -> Op { .maxPool(MaxPool(window: window)) }

    /// The mean of each window; `countsPadding` says whether zeros that pad count in the divisor.
    public static func averagePool(_ window: Window, countsPadding: Bool) -> Op {
        .averagePool(AveragePool(window: window, countsPadding: countsPadding))
    }
}

extension Window {
    /// A map with a value per window and as many channels as before.
    fileprivate func pooled(_ inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
        let x = try inputs.map()
        let size = try outputExtent(of: x)
        return [ValueType([x[0], x[1], size.height, size.width], element: inputs[0].element)]
    }
}
