// A map read at places between its pixels.

import GraftTensors

extension Op {
    /// The first value, (N, C, H, W) or (N, C, D, H, W), at the places that the second, (N, …, 2 or 3), names in
    /// −1…1, the last axis of the map first (ONNX's and PyTorch's `grid_sample`).
    public struct GridSample: OpRule {
        /// The rules of interpolation.
        public enum Mode: String, Sendable, Hashable, Codable, CaseIterable {
            case nearest, linear, cubic
        }
        /// The values outside the map.
        public enum Border: String, Sendable, Hashable, Codable, CaseIterable {
            case zeros
            /// The pixel at the edge.
            case border
            /// The map, mirrored.
            case reflection
        }
        /// The name in files.
        public static let name = "gridSample"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The rule of interpolation.
        public var mode: Mode
        /// The values outside the map.
        public var border: Border
        /// Whether −1 and 1 are the centres of the pixels at the edge, and not their outer sides.
        public var alignsCorners: Bool

        /// The name in a summary.
        public var kind: String { "grid_sample" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The places may be a table.
        public var treatsSamplesAlone: Bool { false }

        /// A number for each channel and place.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            let (x, grid) = (inputs[0].shape, inputs[1].shape)
            guard x.rank == 4 || x.rank == 5 && mode != .cubic else { throw .notMap(x) }
            guard grid.rank == x.rank, grid[0] == x[0], grid[grid.rank - 1] == x.rank - 2 else {
                throw .unfitIndices(grid, x)
            }
            return [
                ValueType(
                    Shape([x[0], x[1]] + grid.dimensions[1..<(grid.rank - 1)]),
                    element: inputs[0].element)
            ]
        }
    }

    /// A map read at places in −1…1.
    public static func gridSample(
        _ mode: GridSample.Mode, border: GridSample.Border, alignsCorners: Bool
    ) -> Op {
        .gridSample(GridSample(mode: mode, border: border, alignsCorners: alignsCorners))
    }
}
