// Runs a pickle as data: it builds lists, dictionaries and tensor descriptions, and calls nothing.

import OrderedCollections

/// The stack machine of Python's pickle, without the one thing that makes pickles dangerous: the
/// globals it meets are matched against ``PickleGlobal``, never imported, and none is called.
struct PickleMachine {
    /// A storage as the pickle describes it: where its bytes are is the file's business.
    struct StorageReference: Sendable {
        let key: String
        let scalar: TorchScalar
        let count: Int
        let viewOffset: Int
    }
    /// A tensor as the pickle describes it.
    struct TensorReference: Sendable {
        let storage: Int
        let scalar: TorchScalar
        let offset: Int
        let sizes: [Int]
        let strides: [Int]
    }

    /// An instance of a class that is not known: which, and the state it would have been given.
    struct Object: Sendable {
        let className: Int
        var state: PickleValue = .none
        /// The items that were set on it: a dictionary, where it is one by descent.
        var items: PickleValue = .none
    }

    /// The names of classes and functions that are not known.
    private(set) var classNames: OrderedSet<String> = []
    private(set) var objects: [Object] = []
    private(set) var tuples: [[PickleValue]] = []
    private(set) var lists: [[PickleValue]] = []
    private(set) var dicts: [OrderedDictionary<String, PickleValue>] = []
    private(set) var storages: [StorageReference] = []
    private(set) var tensors: [TensorReference] = []

    private var stack: [PickleValue] = []
    private var marks: [Int] = []
    private var memo: [Int: PickleValue] = [:]
    private var copied = 0
    private let source: Source

    /// A state dict takes about 30 operations a tensor.
    private static let operationLimit = 20_000_000
    private static let stackLimit = 4_000_000

    private init(_ source: Source) { self.source = source }

    /// Runs one pickle at the cursor and leaves the cursor behind it.
    static func run(_ cursor: inout ByteCursor) throws -> (value: PickleValue, machine: Self) {
        var machine = PickleMachine(cursor.source)
        for _ in 0..<operationLimit {
            let at = cursor.offset
            let byte = try cursor.byte()
            guard let opcode = PickleOpcode(rawValue: byte) else {
                throw cursor.source.unsupported(.pickleOpcode(byte, at: at))
            }
            if opcode == .stop { return (try machine.pop(), machine) }
            try machine.step(opcode, &cursor)
            guard machine.stack.count <= stackLimit else {
                throw cursor.source.malformed(.pickle(.deepStack(limit: stackLimit)))
            }
        }
        throw cursor.source.malformed(.pickle(.tooManyOperations(limit: operationLimit)))
    }

    private mutating func pop() throws -> PickleValue {
        guard let value = stack.popLast(), value != .mark else {
            throw source.malformed(.pickle(.emptyStack))
        }
        return value
    }

    private mutating func popToMark() throws -> [PickleValue] {
        guard let mark = marks.popLast(), mark < stack.count, stack[mark] == .mark else {
            throw source.malformed(.pickle(.noMark))
        }
        let values = Array(stack[(mark + 1)...])
        stack.removeLast(stack.count - mark)
        return values
    }

    private mutating func pushTuple(_ values: [PickleValue]) {
        tuples.append(values)
        stack.append(.tuple(tuples.count - 1))
    }

    private mutating func pushDict() {
        dicts.append([:])
        stack.append(.dict(dicts.count - 1))
    }

    private mutating func pushString(_ cursor: inout ByteCursor, _ count: Int) throws {
        stack.append(.string(try cursor.text(count)))
    }

    private mutating func pushBytes(_ cursor: inout ByteCursor, _ count: Int) throws {
        _ = try cursor.take(count)
        stack.append(.bytes(count))
    }

    private mutating func pushBytesOrString(_ cursor: inout ByteCursor, _ count: Int) throws {
        let bytes = try cursor.take(count)
        let text = String(validating: bytes, as: UTF8.self)
        stack.append(text.map { .string($0) } ?? .bytes(count))
    }

    private mutating func put(_ key: Int) throws {
        guard let top = stack.last, top != .mark else {
            throw source.malformed(.pickle(.nothingToRemember))
        }
        memo[key] = top
    }

    private mutating func get(_ key: Int) throws {
        guard let value = memo[key] else {
            throw source.malformed(.pickle(.unknownMemo(key)))
        }
        stack.append(value)
    }

    private mutating func step(_ opcode: PickleOpcode, _ cursor: inout ByteCursor) throws {
        switch opcode {
        case .stop: break
        case .proto:
            let version = try cursor.byte()
            guard version <= 5 else { throw source.unsupported(.pickleProtocol(version)) }
        case .frame: _ = try cursor.take(8)
        case .mark:
            marks.append(stack.count)
            stack.append(.mark)
        case .pop:
            if stack.last == .mark {
                _ = try popToMark()
            } else {
                _ = try pop()
            }
        case .popMark: _ = try popToMark()
        case .dup:
            let top = try pop()
            stack += [top, top]
        case .none: stack.append(.none)
        case .newTrue: stack.append(.bool(true))
        case .newFalse: stack.append(.bool(false))
        case .binInt: stack.append(.integer(Int(try cursor.integer(Int32.self))))
        case .binInt1: stack.append(.integer(Int(try cursor.byte())))
        case .binInt2: stack.append(.integer(Int(try cursor.integer(UInt16.self))))
        case .long1: try long(&cursor, Int(try cursor.byte()))
        case .long4: try long(&cursor, try cursor.size(Int32.self))
        case .binFloat:
            let bits = UInt64(bigEndian: try cursor.take(8).loadUnaligned(as: UInt64.self))
            stack.append(.number(Double(bitPattern: bits)))
        case .binUnicode: try pushString(&cursor, try cursor.size(UInt32.self))
        case .shortBinUnicode: try pushString(&cursor, Int(try cursor.byte()))
        case .binUnicode8: try pushString(&cursor, try cursor.size(UInt64.self))
        // Python 2 strings, which name keys in old files and hold the bytes of its arrays.
        case .binString: try pushBytesOrString(&cursor, try cursor.size(Int32.self))
        case .shortBinString: try pushBytesOrString(&cursor, Int(try cursor.byte()))
        case .binBytes: try pushBytes(&cursor, try cursor.size(UInt32.self))
        case .shortBinBytes: try pushBytes(&cursor, Int(try cursor.byte()))
        case .byteArray8: try pushBytes(&cursor, try cursor.size(UInt64.self))
        case .binBytes8: try pushBytes(&cursor, try cursor.size(UInt64.self))
        case .emptyDict: pushDict()
        case .emptyList:
            lists.append([])
            stack.append(.list(lists.count - 1))
        case .emptyTuple: pushTuple([])
        case .emptySet:
            lists.append([])
            stack.append(.list(lists.count - 1))
        case .frozenSet:
            guard !marks.isEmpty else { throw lacksArguments(opcode) }
            lists.append(try popToMark())
            stack.append(.list(lists.count - 1))
        case .tuple: pushTuple(try popToMark())
        case .tuple1: pushTuple([try pop()])
        case .tuple2:
            let second = try pop()
            pushTuple([try pop(), second])
        case .tuple3:
            let third = try pop()
            let second = try pop()
            pushTuple([try pop(), second, third])
        case .append: try append([try pop()])
        case .appends, .addItems: try append(try popToMark())
        case .setItem:
            let value = try pop()
            try set([try pop(), value])
        case .setItems: try set(try popToMark())
        case .binPut: try put(Int(try cursor.byte()))
        case .longBinPut: try put(try cursor.size(UInt32.self))
        case .memoize: try put(memo.count)
        case .binGet: try get(Int(try cursor.byte()))
        case .longBinGet: try get(try cursor.size(UInt32.self))
        case .global:
            try pushGlobal(try cursor.line(), try cursor.line())
        case .stackGlobal:
            guard case .string(let name) = try pop(), case .string(let module) = try pop() else {
                throw source.malformed(.pickle(.classNotText))
            }
            try pushGlobal(module, name)
        case .binPersistentID: try persistentID(try pop())
        case .reduce, .newObject:
            let arguments = try pop()
            switch (try pop(), arguments) {
            case (.global(let global), .tuple(let index)): try reduce(global, tuples[index])
            // What was never made is never called, and gives as little.
            case (.object(let made), .tuple): pushObject(of: objects[made].className)
            default: throw source.malformed(.pickle(.callOfNoClass))
            }
        case .newObjectEx:
            // A class, its arguments, and those with a name.
            guard stack.count >= 3 else { throw lacksArguments(opcode) }
            _ = try pop()
            _ = try pop()
            guard case .global(.unknown(let name)) = try pop() else {
                throw source.malformed(.pickle(.callOfNoClass))
            }
            pushObject(of: name)
        // State that is set on an object. That of a state dict (`_metadata`) is not needed.
        case .build:
            let state = try pop()
            if case .object(let index) = stack.last { objects[index].state = state }
        }
    }

    private func lacksArguments(_ opcode: PickleOpcode) -> FormatError {
        source.malformed(.pickle(.missingArguments(opcode: opcode.rawValue)))
    }

    private mutating func pushObject(of className: Int) {
        objects.append(Object(className: className))
        stack.append(.object(objects.count - 1))
    }

    private mutating func long(_ cursor: inout ByteCursor, _ count: Int) throws {
        let bytes = try cursor.take(count)
        guard count <= 8 else { return stack.append(.bytes(count)) }
        var value: Int64 = (bytes.last ?? 0) & 0x80 == 0 ? 0 : -1
        for byte in bytes.reversed() { value = value << 8 | Int64(byte) }
        stack.append(.integer(Int(value)))
    }

    private mutating func append(_ values: [PickleValue]) throws {
        // The items of a list that is not known to be one are nobody's.
        if case .object = stack.last { return }
        guard case .list(let index) = stack.last else {
            throw source.malformed(.pickle(.notList))
        }
        lists[index] += values
    }

    private mutating func set(_ pairs: [PickleValue]) throws {
        let target: PickleValue?
        if case .object(let object) = stack.last {
            if objects[object].items == .none {
                dicts.append([:])
                objects[object].items = .dict(dicts.count - 1)
            }
            target = objects[object].items
        } else {
            target = stack.last
        }
        guard case .dict(let index) = target, pairs.count.isMultiple(of: 2) else {
            throw source.malformed(.pickle(.notDictionary))
        }
        for pair in stride(from: 0, to: pairs.count, by: 2) {
            dicts[index][key(pairs[pair])] = pairs[pair + 1]
        }
    }

    /// Keys are names; optimisers also use numbers.
    private func key(_ value: PickleValue) -> String {
        switch value {
        case .string(let text): text
        case .integer(let number): String(number)
        default: "\(value)"
        }
    }

    private mutating func pushGlobal(_ module: String, _ name: String) throws {
        if let global = PickleGlobal(module: module, name: name) {
            stack.append(.global(global))
            return
        }
        guard !PickleGlobal.runsPrograms(module: module, name: name) else {
            throw source.unsupported(.pickledProgram("\(module).\(name)"))
        }
        let (_, index) = classNames.append("\(module).\(name)")
        stack.append(.global(.unknown(index)))
    }

    private mutating func persistentID(_ value: PickleValue) throws {
        // A storage of a type without numbers that graft reads, such as `torch.QInt8Storage`.
        if case .tuple(let index) = value, tuples[index].count >= 5,
            case .global(.unknown(let name)) = tuples[index][1]
        {
            return pushObject(of: name)
        }
        guard
            case .tuple(let index) = value, tuples[index].count >= 5,
            case .string("storage") = tuples[index][0],
            case .global(.storageType(let scalar)) = tuples[index][1],
            case .string(let key) = tuples[index][2],
            case .integer(let count) = tuples[index][4], count >= 0
        else { throw source.malformed(.pickle(.unknownDescription(.storage))) }
        var viewOffset = 0
        if tuples[index].count > 5, case .tuple(let view) = tuples[index][5] {
            guard
                tuples[view].count == 3, case .integer(let offset) = tuples[view][1],
                (0...count).contains(offset)
            else { throw source.malformed(.pickle(.unknownDescription(.view))) }
            viewOffset = offset
        }
        storages.append(
            StorageReference(key: key, scalar: scalar, count: count, viewOffset: viewOffset))
        stack.append(.storage(storages.count - 1))
    }

    private func sizes(_ value: PickleValue) throws -> [Int] {
        guard case .tuple(let index) = value, tuples[index].count <= 64 else {
            throw source.malformed(.pickle(.unknownDescription(.shape)))
        }
        return try tuples[index].map {
            guard case .integer(let size) = $0, size >= 0 else {
                throw source.malformed(.pickle(.notSize))
            }
            return size
        }
    }

    private mutating func reduce(_ global: PickleGlobal, _ arguments: [PickleValue]) throws {
        switch global {
        case .orderedDict:
            pushDict()
            guard let first = arguments.first else { return }
            guard case .list(let list) = first else {
                throw source.malformed(.pickle(.unknownDescription(.dictionary)))
            }
            // One list can fill many dictionaries.
            copied += lists[list].count
            guard copied <= Self.stackLimit else {
                throw source.malformed(.pickle(.tooManyCopies(limit: Self.stackLimit)))
            }
            for case .tuple(let pair) in lists[list] where tuples[pair].count == 2 {
                try set(tuples[pair])
            }
        case .size:
            guard arguments.count == 1, case .tuple = arguments[0] else {
                throw source.malformed(.pickle(.unknownDescription(.size)))
            }
            stack.append(arguments[0])
        case .set:
            if case .list? = arguments.first {
                stack.append(arguments[0])
            } else {
                lists.append([])
                stack.append(.list(lists.count - 1))
            }
        case .unknown(let name):
            // `copyreg` makes an object of the class that it is given.
            if case .global(.unknown(let own))? = arguments.first,
                classNames[name].hasPrefix("copy")
            {
                pushObject(of: own)
            } else {
                pushObject(of: name)
            }
        case .rebuildFromType:
            guard arguments.count >= 3, case .global(let rebuild) = arguments[0],
                case .tuple(let index) = arguments[2], rebuild != .rebuildFromType
            else { throw source.malformed(.pickle(.unknownDescription(.tensor))) }
            try reduce(rebuild, tuples[index])
        case .rebuildTensor, .rebuildTensorV3:
            if case .object(let made)? = arguments.first {
                return pushObject(of: objects[made].className)
            }
            guard
                arguments.count >= 4, case .storage(let storage) = arguments[0],
                case .integer(let offset) = arguments[1], offset >= 0
            else { throw source.malformed(.pickle(.unknownDescription(.tensor))) }
            var scalar = storages[storage].scalar
            if global == .rebuildTensorV3 {
                guard arguments.count >= 7, case .global(.dtype(let dtype)) = arguments[6] else {
                    throw source.malformed(.pickle(.unknownDescription(.tensor)))
                }
                scalar = dtype
            }
            let tensor = TensorReference(
                storage: storage, scalar: scalar, offset: offset, sizes: try sizes(arguments[2]),
                strides: try sizes(arguments[3]))
            guard tensor.sizes.count == tensor.strides.count else {
                throw source.malformed(.pickle(.fewStrides))
            }
            tensors.append(tensor)
            stack.append(.tensor(tensors.count - 1))
        case .rebuildParameter:
            switch arguments.first {
            case .tensor?, .object?: stack.append(arguments[0])
            default:
                throw source.malformed(.pickle(.unknownDescription(.parameter)))
            }
        case .storageType, .dtype:
            throw source.unsupported(.bareStorage)
        }
    }
}
