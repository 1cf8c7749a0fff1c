// Maps enlarged by whole factors.

import GraftTensors

extension Op {
    /// Enlarges by whole factors, nearest or bilinear (half-pixel centres).
    public struct Upsample: OpRule {
        /// The name in files.
        public static let name = "upsample"
        /// The factor of the rows.
        public var height: Int
        /// The factor of the columns.
        public var width: Int
        /// Whether values between pixels are interpolated.
        public var bilinear: Bool

        /// The largest factor.
        static let maximumFactor = 1024

        /// The name in a summary.
        public var kind: String { "upsample" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A larger map.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            let factors = 1...Self.maximumFactor
            guard factors.contains(height), factors.contains(width) else {
                throw .unfitEnlargement(Extent(height, width))
            }
            return [
                ValueType(
                    [x[0], x[1], x[2] * height, x[3] * width], element: inputs[0].element)
            ]
        }
    }

    /// Enlarges by whole factors.
    public static func upsample(height: Int, width: Int, bilinear: Bool) -> Op {
        .upsample(Upsample(height: height, width: width, bilinear: bilinear))
    }
}
