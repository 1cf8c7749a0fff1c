// TensorBoard's event files: records of scalars, framed and checksummed.

#if canImport(Glibc)
    import Glibc
#elseif canImport(Musl)
    import Musl
#endif

/// The bytes of an event file (tensorflow/core/util/event.proto in TFRecord frames).
struct EventFile {
    private(set) var bytes: [UInt8] = []

    /// What goes on where another ended.
    private init() {}

    /// A file that starts as TensorBoard expects.
    init(time: Double) {
        append(
            Message {
                $0.double(1, time); $0.text(3, "brain.Event:2")
            })
    }

    /// Adds numbers of one step.
    mutating func add(step: Int, time: Double, _ scalars: [(tag: String, value: Double)]) {
        let summary = Message { summary in
            for scalar in scalars {
                summary.message(
                    1,
                    Message {
                        $0.text(1, scalar.tag)
                        $0.float(2, Float(scalar.value))
                    })
            }
        }
        append(
            Message {
                $0.double(1, time)
                $0.integer(2, UInt64(max(step, 0)))
                $0.message(5, summary)
            })
    }

    private mutating func append(_ message: Message) {
        let length = withUnsafeBytes(of: UInt64(message.bytes.count).littleEndian) { Array($0) }
        bytes += length + Self.checksum(length) + message.bytes + Self.checksum(message.bytes)
    }

    /// CRC-32C, turned and shifted as TFRecord does.
    private static func checksum(_ bytes: [UInt8]) -> [UInt8] {
        var crc: UInt32 = 0xFFFF_FFFF
        for byte in bytes {
            crc ^= UInt32(byte)
            for _ in 0..<8 { crc = (crc >> 1) ^ (crc & 1 == 1 ? 0x82F6_3B78 : 0) }
        }
        crc = ~crc
        let masked = ((crc >> 15) | (crc << 17)) &+ 0xA282_EAD8
        return withUnsafeBytes(of: masked.littleEndian) { Array($0) }
    }

    /// The few kinds of fields that an event has.
    private struct Message {
        var bytes: [UInt8] = []

        init(_ build: (inout Message) -> Void) { build(&self) }

        mutating func integer(_ field: Int, _ value: UInt64) {
            key(field, 0)
            varint(value)
        }
        mutating func double(_ field: Int, _ value: Double) {
            key(field, 1)
            bytes += withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
        mutating func float(_ field: Int, _ value: Float) {
            key(field, 5)
            bytes += withUnsafeBytes(of: value.bitPattern.littleEndian) { Array($0) }
        }
        mutating func text(_ field: Int, _ value: String) { block(field, Array(value.utf8)) }
        mutating func message(_ field: Int, _ value: Message) { block(field, value.bytes) }

        private mutating func block(_ field: Int, _ content: [UInt8]) {
            key(field, 2)
            varint(UInt64(content.count))
            bytes += content
        }
        private mutating func key(_ field: Int, _ kind: Int) { varint(UInt64(field << 3 | kind)) }
        private mutating func varint(_ value: UInt64) {
            var rest = value
            while rest > 127 {
                bytes.append(UInt8(rest & 127) | 128)
                rest >>= 7
            }
            bytes.append(UInt8(rest))
        }
    }
}

extension EventFile {
    /// Writes the events of a run so far as `events.out.tfevents.…`, where TensorBoard finds them.
    static func write(_ history: [EpochRecord], _ task: LearningTask, folder: String) throws {
        let now = Double(Glibc.time(nil))
        var file = EventFile(time: now)
        for row in history { file.add(row, task, time: now) }
        try file.bytes.withUnsafeBytes { try RunFiles.write([$0], to: path(folder)) }
    }

    /// Adds an epoch at the end of the file, which TensorBoard goes on reading.
    static func append(_ row: EpochRecord, _ task: LearningTask, folder: String) throws {
        var file = EventFile()
        file.add(row, task, time: Double(Glibc.time(nil)))
        try file.bytes.withUnsafeBytes { try RunFiles.append($0, to: path(folder)) }
    }

    private static func path(_ folder: String) -> String {
        folder + "/events.out.tfevents.0000000000.graft"
    }

    private mutating func add(_ row: EpochRecord, _ task: LearningTask, time: Double) {
        let name = task.measure
        let numbers: [(String, Double?)] = [
            ("loss/training", row.isLearned ? row.trainingLoss : nil),
            ("loss/validation", row.validationLoss),
            ("\(name)/training", row.isLearned ? row.trainingAccuracy : nil),
            ("\(name)/validation", row.validationAccuracy),
            ("learning_rate", row.learningRate),
        ]
        add(
            step: row.epoch, time: time,
            numbers.compactMap { tag, value in value.map { (tag, $0) } })
    }
}
