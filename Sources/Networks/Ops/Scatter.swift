// Elements of a value replaced, or combined with others, at computed places.

import GraftTensors

extension Op {
    /// The way in which an update meets the element that is there.
    public enum ScatterReduction: String, Sendable, Hashable, Codable, CaseIterable {
        /// It takes its place; of several for one place the last.
        case none
        case add, multiply, maximum, minimum
    }

    /// The first value with the third at the indices of the second along an axis (ONNX's
    /// `ScatterElements`).
    public struct ScatterElements: OpRule {
        /// The name in files.
        public static let name = "scatterElements"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int
        /// The way in which an update meets the element that is there.
        public var reduction: ScatterReduction

        /// The name in a summary.
        public var kind: String { "scatter_elements" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The indices may be a table.
        public var treatsSamplesAlone: Bool { false }

        /// A value of the first one's type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 3 else { throw .inputCount(expected: 3, found: inputs.count) }
            let (x, indices) = (inputs[0].shape, inputs[1].shape)
            try indices.requireFit(in: x, axis: axis)
            guard inputs[2].shape == indices else {
                throw .unfitIndices(indices, inputs[2].shape)
            }
            return [inputs[0]]
        }
    }

    /// The first value with slices of the third at the index vectors of the second (ONNX's `ScatterND`).
    public struct ScatterND: OpRule {
        /// The name in files.
        public static let name = "scatterND"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The way in which an update meets the elements that are there.
        public var reduction: ScatterReduction

        /// The name in a summary.
        public var kind: String { "scatter_nd" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The first axis of the indices names samples.
        public var treatsSamplesAlone: Bool { false }

        /// A value of the first one's type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 3 else { throw .inputCount(expected: 3, found: inputs.count) }
            let (x, indices) = (inputs[0].shape, inputs[1].shape)
            guard indices.rank > 0, x.rank > 0, 1...x.rank ~= indices[indices.rank - 1] else {
                throw .unfitIndices(indices, x)
            }
            let depth = indices[indices.rank - 1]
            guard
                inputs[2].shape
                    == Shape(indices.dimensions.dropLast() + x.dimensions[depth...])
            else { throw .unfitIndices(indices, inputs[2].shape) }
            return [inputs[0]]
        }
    }

    /// Elements replaced at the indices of an axis.
    public static func scatterElements(axis: Int, reduction: ScatterReduction = .none) -> Op {
        .scatterElements(ScatterElements(axis: axis, reduction: reduction))
    }

    /// Slices replaced at vectors of indices.
    public static func scatterND(reduction: ScatterReduction = .none) -> Op {
        .scatterND(ScatterND(reduction: reduction))
    }
}
