// Sums and products of all elements up to each one along an axis.

import GraftTensors

extension Op {
    /// For each element of an axis the sum or product of those up to it.
    public struct Cumulate: OpRule {
        /// The functions.
        public enum Function: String, Sendable, Hashable, Codable, CaseIterable {
            case sum, product
        }
        /// The name in files.
        public static let name = "cumulate"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The function.
        public var function: Function
        /// The axis.
        public var axis: Int
        /// Whether the element itself is left out.
        public var isExclusive: Bool
        /// Whether it goes from the end to the beginning.
        public var isReversed: Bool

        /// The name in a summary.
        public var kind: String { "cumulative_" + function.rawValue }
        /// A pooling.
        public var family: OpFamily { .pooling }
        /// Unless the samples are added up.
        public var treatsSamplesAlone: Bool { axis != 0 }

        /// A value of the same type.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            let x = try inputs.one()
            guard 0..<x.rank ~= axis else { throw .unfitAxes([axis], x) }
            return inputs
        }
    }

    /// The sum or product up to each element of an axis.
    public static func cumulate(
        _ function: Cumulate.Function, axis: Int, isExclusive: Bool = false,
        isReversed: Bool = false
    ) -> Op {
        .cumulate(
            Cumulate(
                function: function, axis: axis, isExclusive: isExclusive, isReversed: isReversed))
    }
}
