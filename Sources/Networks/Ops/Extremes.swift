// The largest and smallest numbers along an axis, and where they are.

import GraftTensors

extension Op {
    /// The `count` largest or smallest numbers along an axis, best first, and their indices.
    ///
    /// Of equal numbers the one of the smaller index comes first.
    public struct TopK: OpRule {
        /// The name in files.
        public static let name = "topK"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int
        /// The number of elements.
        public var count: Int
        /// Whether the largest come first, or the smallest.
        public var largest: Bool

        /// The name in a summary.
        public var kind: String { "top_k" }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// Unless the samples are ordered.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// The numbers, and their indices.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            guard count > 0, count <= x[axis] else {
                throw .unfitSlice(start: 0, count: count, step: 1, axis: axis, x)
            }
            x[axis] = count
            return [ValueType(x, element: inputs[0].element), ValueType(x, element: .i64)]
        }
    }

    /// The index of the largest or smallest number along an axis, the first of equal ones.
    public struct ArgExtreme: OpRule {
        /// The name in files.
        public static let name = "argExtreme"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int
        /// Whether it is the largest, or the smallest.
        public var largest: Bool
        /// Whether the axis stays as one of one element.
        public var keepsAxis: Bool

        /// The name in a summary.
        public var kind: String { largest ? "arg_max" : "arg_min" }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// Unless the samples are ordered.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// Indices.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            var x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            x[axis] = 1
            if !keepsAxis { x.dimensions.remove(at: axis) }
            return [ValueType(x, element: .i64)]
        }
    }

    /// The `count` largest or smallest numbers along an axis.
    public static func topK(axis: Int, count: Int, largest: Bool) -> Op {
        .topK(TopK(axis: axis, count: count, largest: largest))
    }

    /// The index of the largest or smallest number along an axis.
    public static func argExtreme(axis: Int, largest: Bool, keepsAxis: Bool) -> Op {
        .argExtreme(ArgExtreme(axis: axis, largest: largest, keepsAxis: keepsAxis))
    }
}
