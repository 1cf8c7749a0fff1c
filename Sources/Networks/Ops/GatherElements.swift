// Elements of a value at computed places, one for each index.

import GraftTensors

extension Op {
    /// For each index of the second value the element of the first at the same place but for one axis, where
    /// it is the index (ONNX's `GatherElements`, PyTorch's `gather`).
    ///
    /// A negative index counts from the end; one that the axis does not have is an error of the run.
    public struct GatherElements: OpRule {
        /// The name in files.
        public static let name = "gatherElements"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int

        /// The name in a summary.
        public var kind: String { "gather_elements" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The indices may be a table.
        public var treatsSamplesAlone: Bool { false }

        /// As many elements as indices.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            let (x, indices) = (inputs[0].shape, inputs[1].shape)
            try indices.requireFit(in: x, axis: axis)
            return [ValueType(indices, element: inputs[0].element)]
        }
    }

    /// Slices or elements of the first value at the index vectors of the second (ONNX's `GatherND`).
    ///
    /// The last axis of the indices is a vector of places, the first `batch` axes are common.
    public struct GatherND: OpRule {
        /// The name in files.
        public static let name = "gatherND"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The number of axes that both values have in common.
        public var batch: Int

        /// The name in a summary.
        public var kind: String { "gather_nd" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The indices may be a table.
        public var treatsSamplesAlone: Bool { false }

        /// A slice for each vector of indices.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            let (x, indices) = (inputs[0].shape, inputs[1].shape)
            guard batch >= 0, indices.rank > batch, x.rank > batch,
                x.dimensions[..<batch].elementsEqual(indices.dimensions[..<batch]),
                1...(x.rank - batch) ~= indices[indices.rank - 1]
            else { throw .unfitIndices(indices, x) }
            let depth = batch + indices[indices.rank - 1]
            return [
                ValueType(
                    Shape(indices.dimensions.dropLast() + x.dimensions[depth...]),
                    element: inputs[0].element)
            ]
        }
    }

    /// The elements of an axis at the indices of the second value.
    public static func gatherElements(axis: Int) -> Op {
        .gatherElements(GatherElements(axis: axis))
    }

    /// Slices at vectors of indices.
    public static func gatherND(batch: Int) -> Op { .gatherND(GatherND(batch: batch)) }
}

extension Shape {
    /// Throws unless indices of this shape name elements of `x` along `axis`.
    func requireFit(in x: Shape, axis: Int) throws(OpFlaw) {
        guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
        guard rank == x.rank,
            dimensions.indices.allSatisfy({ $0 == axis || self[$0] <= x[$0] })
        else { throw .unfitIndices(self, x) }
    }
}
