// A value cut into several along an axis.

import GraftTensors

extension Op {
    /// Consecutive parts of an axis, each a value of its own.
    public struct Split: OpRule {
        /// The name in files.
        public static let name = "split"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The axis.
        public var axis: Int
        /// The number of elements of each part.
        public var sizes: [Int]

        /// The name in a summary.
        public var kind: String { "split" }
        /// A movement.
        public var family: OpFamily { .movement }
        /// Unless the samples are parted.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value for each part.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            var total = 0
            var results: [ValueType] = []
            for size in sizes {
                guard size > 0, size <= x[axis] - total else { throw .unfitSizes(sizes, x) }
                total += size
                var part = x
                part[axis] = size
                results.append(ValueType(part, element: inputs[0].element))
            }
            guard total == x[axis] else { throw .unfitSizes(sizes, x) }
            return results
        }
    }

    /// Parts of these sizes of an axis.
    public static func split(axis: Int, sizes: [Int]) -> Op {
        .split(Split(axis: axis, sizes: sizes))
    }
}
