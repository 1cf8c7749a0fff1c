// Sums, means and extremes over axes.

import GraftTensors

extension Op {
    /// One number for all that lie along some axes.
    public struct Reduce: OpRule {
        /// What is computed.
        public enum Function: String, Sendable, Hashable, Codable, CaseIterable {
            case sum, mean, maximum, minimum, product
        }
        /// The name in files.
        public static let name = "reduce"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// What is computed.
        public var function: Function
        /// The axes that go.
        public var axes: [Int]
        /// Whether they stay as axes of one element.
        public var keepsAxes: Bool

        /// The name in a summary.
        public var kind: String { "reduce_" + function.rawValue }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// Where the samples stay.
        public var treatsSamplesAlone: Bool { !axes.contains(0) }

        /// A value of fewer elements.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            guard Set(axes).count == axes.count, axes.allSatisfy({ 0..<x.rank ~= $0 }) else {
                throw .unfitAxes(axes, x)
            }
            let sizes = x.dimensions.indices.compactMap { axis in
                axes.contains(axis) ? (keepsAxes ? 1 : nil) : x[axis]
            }
            return [ValueType(Shape(sizes), element: inputs[0].element)]
        }
    }

    /// One number for all that lie along `axes`.
    public static func reduce(_ function: Reduce.Function, axes: [Int], keepsAxes: Bool) -> Op {
        .reduce(Reduce(function: function, axes: axes, keepsAxes: keepsAxes))
    }
}
