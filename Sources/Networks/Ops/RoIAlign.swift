// The parts of maps under boxes, as maps of one size (arXiv:1703.06870).

import GraftTensors

extension Op {
    /// For each box of the second value, (R, 4) as x1, y1, x2, y2, a map of cells of the sample that the third,
    /// (R), names: each cell is the mean or maximum of samples between the pixels of the first value.
    public struct RoIAlign: OpRule {
        /// The name in files.
        public static let name = "roiAlign"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The rows of cells.
        public var height: Int
        /// The columns of cells.
        public var width: Int
        /// The samples of a cell along each axis; 0 is as many as it has pixels, rounded up.
        public var samplingRatio: Int
        /// The pixels of the map in one unit of the boxes.
        public var scale: Double
        /// Whether a cell is the maximum of its samples, and not their mean.
        public var takesMaximum: Bool
        /// Whether pixels have their centres at halves; if not, boxes are one pixel at least.
        public var hasHalfPixels: Bool

        /// The name in a summary.
        public var kind: String { "roi_align" }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// The boxes say which samples they are of.
        public var treatsSamplesAlone: Bool { false }

        /// Cells of boxes.
        public init(
            height: Int, width: Int, samplingRatio: Int, scale: Double, takesMaximum: Bool,
            hasHalfPixels: Bool
        ) {
            self.height = height
            self.width = width
            self.samplingRatio = samplingRatio
            self.scale = scale
            self.takesMaximum = takesMaximum
            self.hasHalfPixels = hasHalfPixels
        }

        /// A map for each box.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 3 else { throw .inputCount(expected: 3, found: inputs.count) }
            let (x, boxes, samples) = (inputs[0].shape, inputs[1].shape, inputs[2].shape)
            guard x.rank == 4 else { throw .notMap(x) }
            guard boxes.rank == 2, boxes[1] == 4, samples == [boxes[0]] else {
                throw .unfitIndices(boxes, samples)
            }
            let limit = Window.maximumExtent
            guard 1...limit ~= height, 1...limit ~= width, 0...limit ~= samplingRatio else {
                throw .unfitCells(Extent(height, width))
            }
            return [
                ValueType([boxes[0], x[1], height, width], element: inputs[0].element)
            ]
        }
    }
}
