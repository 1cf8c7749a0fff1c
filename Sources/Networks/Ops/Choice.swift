// Comparisons, and values chosen by them.

public import GraftTensors

extension Op {
    /// Whether two numbers stand in a relation, values repeated to fit as NumPy does.
    public struct Compare: OpRule {
        /// The relations.
        public enum Relation: String, Sendable, Hashable, Codable, CaseIterable {
            case equal, less, lessOrEqual, greater, greaterOrEqual
        }
        /// The name in files.
        public static let name = "compare"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The relation of the first to the second value.
        public var relation: Relation

        /// The name in a summary: that of the relation.
        public var kind: String { relation.rawValue }
        /// A combination.
        public var family: OpFamily { .combination }
        /// A value without a batch may be repeated.
        public var treatsSamplesAlone: Bool { false }

        /// Truth values of the sizes of both together.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 2 else { throw .inputCount(expected: 2, found: inputs.count) }
            return [ValueType(try inputs.broadcast(), element: .bool)]
        }
    }

    /// The second value where the first is true, else the third, values repeated to fit.
    public struct Where: OpRule {
        /// The name in files.
        public static let name = "where"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }

        /// The name in a summary.
        public var kind: String { "where" }
        /// A combination.
        public var family: OpFamily { .combination }
        /// A value without a batch may be repeated.
        public var treatsSamplesAlone: Bool { false }

        /// A value of the sizes of all together.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            guard inputs.count == 3 else { throw .inputCount(expected: 3, found: inputs.count) }
            return [ValueType(try inputs.broadcast(), element: inputs[1].element)]
        }
    }

    /// A value in another element type.
    public struct Cast: OpRule {
        /// The name in files.
        public static let name = "cast"
        /// The format of the native file since which there is this operation.
        public var formatVersion: Int { 2 }
        /// The type of an element.
        public var element: DType

        /// The name in a summary.
        public var kind: String { "cast" }
        /// A movement.
        public var family: OpFamily { .movement }

        /// A value of the same sizes.
        public func outputs(reading inputs: [ValueType]) throws(OpFlaw) -> [ValueType] {
            [ValueType(try inputs.one(), element: element)]
        }
    }

    /// Whether the first value stands in a relation to the second.
    public static func compare(_ relation: Compare.Relation) -> Op {
        .compare(Compare(relation: relation))
    }

    /// The second value where the first is true, else the third.
    public static var `where`: Op { .where(Where()) }

    /// A value in another element type.
    public static func cast(_ element: DType) -> Op { .cast(Cast(element: element)) }
}

extension [ValueType] {
    /// The shape that all fit, repeated.
    fileprivate func broadcast() throws(OpFlaw) -> Shape {
        var result = self[0].shape
        for other in dropFirst() {
            guard let next = result.broadcast(with: other.shape) else {
                throw .unfitBroadcast(other.shape, with: result)
            }
            result = next
        }
        return result
    }
}
