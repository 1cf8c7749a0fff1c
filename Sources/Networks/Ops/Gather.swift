// Elements of an axis that another value names.

import GraftTensors

extension Op {
    /// Slices of the first value along an axis, one for each index of the second (ONNX's `Gather`).
    ///
    /// A negative index counts from the end; one that the axis does not have is an error of the run.
    public struct Gather: OpRule {
        /// The name in files.
        public static let name = "gather"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis of the first value.
        public var axis: Int

        /// The name in a summary.
        public var kind: String { "gather" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// The first value may be a table.
        public var treatsSamplesAlone: Bool { false }

        /// The first value with the axes of the indices in place of the axis.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            let (table, indices) = (inputs[0].shape, inputs[1].shape)
            guard 0..<table.rank ~= axis else { throw .unfitAxes([axis], table) }
            let result = Shape(
                table.dimensions[..<axis] + indices.dimensions
                    + table.dimensions[(axis + 1)...])
            return [ValueType(result, element: inputs[0].element)]
        }
    }

    /// Slices along `axis` that the second value names.
    public static func gather(axis: Int) -> Op { .gather(Gather(axis: axis)) }
}
