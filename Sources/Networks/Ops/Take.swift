// Elements of an axis at known places.

import GraftTensors

extension Op {
    /// The elements of an axis at places that are known, in any order and as often as they are named: ONNX's
    /// `Gather` with constant indices.
    public struct Take: OpRule {
        /// The name in files.
        public static let name = "take"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int
        /// The places.
        public var indices: [Int]

        /// The name in a summary.
        public var kind: String { "take" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Where the samples stay.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value with as many elements along the axis as places are named.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            guard
                let index = indices.first(where: { !(0..<x[axis] ~= $0) })
                    ?? (indices.isEmpty ? 0 : nil)
            else {
                x[axis] = indices.count
                return [ValueType(x, element: inputs[0].element)]
            }
            throw .unfitSlice(start: index, count: indices.count, step: 1, axis: axis, x)
        }
    }

    /// The elements of an axis at these places.
    public static func take(axis: Int, indices: [Int]) -> Op {
        .take(Take(axis: axis, indices: indices))
    }
}
