// Maps of another size, by ONNX's rules.

import GraftTensors

extension Op {
    /// A map (N, C, H, W) of other rows and columns, by the rules of ONNX's `Resize`.
    public struct Resize: OpRule {
        /// How a number between samples is found.
        public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
            case nearest, linear, cubic
        }
        /// Where a pixel of the result lies in the input.
        public enum Coordinates: String, Sendable, Hashable, Codable, CaseIterable {
            /// (x + 0.5) / scale − 0.5.
            case halfPixel
            /// The same, and 0 where the result has one pixel.
            case pytorchHalfPixel
            /// x / scale.
            case asymmetric
            /// x · (input − 1) / (output − 1).
            case alignCorners
        }
        /// Which sample is nearest to a place in the middle.
        public enum Rounding: String, Sendable, Hashable, Codable, CaseIterable {
            case roundPreferFloor, roundPreferCeil, floor, ceil
        }
        /// How large the result is.
        public enum Target: Sendable, Hashable, Codable {
            /// Rows and columns.
            case sizes(height: Int, width: Int)
            /// Factors, the product rounded down; the coordinates use them as they are.
            case factors(height: Double, width: Double)
        }
        /// The name in files.
        public static let name = "resize"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// How large the result is.
        public var target: Target
        /// How a number between samples is found.
        public var mode: Mode
        /// Where a pixel lies.
        public var coordinates: Coordinates
        /// Which sample is nearest.
        public var rounding: Rounding
        /// The coefficient of the cubic kernel, −0.75 in PyTorch and −0.5 in TensorFlow.
        public var cubic: Double
        /// Whether samples outside the map count nothing, and not as the edge.
        public var excludesOutside: Bool
        /// Whether the kernel grows where the map shrinks.
        public var antialiases: Bool

        /// The name in a summary.
        public var kind: String { "resize" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A map of other rows and columns.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.map()
            let limit = 1 << 16
            switch target {
            case .sizes(let height, let width):
                guard 1...limit ~= height, 1...limit ~= width else {
                    throw .unfitSizes([height, width], x)
                }
                return [ValueType([x[0], x[1], height, width], element: inputs[0].element)]
            case .factors(let height, let width):
                let rows = Double(x[2]) * height
                let columns = Double(x[3]) * width
                guard height > 0, width > 0, rows >= 1, columns >= 1, rows <= Double(limit),
                    columns <= Double(limit)
                else { throw .unfitFactors([height, width], x) }
                return [
                    ValueType(
                        [x[0], x[1], Int(rows), Int(columns)], element: inputs[0].element)
                ]
            }
        }
    }

    /// A map of other rows and columns.
    public static func resize(
        to target: Resize.Target, mode: Resize.Mode, coordinates: Resize.Coordinates = .halfPixel,
        rounding: Resize.Rounding = .roundPreferFloor, cubic: Double = -0.75,
        excludesOutside: Bool = false, antialiases: Bool = false
    ) -> Op {
        .resize(
            Resize(
                target: target, mode: mode, coordinates: coordinates, rounding: rounding,
                cubic: cubic, excludesOutside: excludesOutside, antialiases: antialiases))
    }
}
