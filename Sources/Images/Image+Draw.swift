// Rectangles, short texts, and the confusion matrix drawn with them.

extension Image {
    /// Fills a rectangle; what lies outside of the picture is cut off.
    package mutating func fill(x: Int, y: Int, width: Int, height: Int, _ color: Color) {
        for row in max(y, 0)..<max(min(y + height, self.height), max(y, 0)) {
            for column in max(x, 0)..<max(min(x + width, self.width), max(x, 0)) {
                self[column, row] = color
            }
        }
    }

    /// Draws the outline of a box, `thickness` pixels wide, inside it; nothing where it has no place.
    package mutating func outline(_ box: Box, thickness: Int = 2, _ color: Color) {
        guard !(box.left + box.top).isNaN, !(box.right + box.bottom).isNaN else { return }
        let limit = Double(max(width, height)) + 1
        func pixel(_ at: Double) -> Int { Int(min(max(at.rounded(), -1), limit)) }
        let (left, top) = (pixel(box.left), pixel(box.top))
        let (wide, high) = (pixel(box.right) - left, pixel(box.bottom) - top)
        fill(x: left, y: top, width: wide, height: thickness, color)
        fill(x: left, y: top + high - thickness, width: wide, height: thickness, color)
        fill(x: left, y: top, width: thickness, height: high, color)
        fill(x: left + wide - thickness, y: top, width: thickness, height: high, color)
    }

    /// Draws a text with its top left corner at (x, y), in letters of 3 × 5 cells of `cell`
    /// pixels: capitals, digits and `-_./:%,()+#`; anything else is a question mark.
    package mutating func draw(_ text: String, x: Int, y: Int, cell: Int = 2, _ color: Color) {
        for (index, character) in text.uppercased().enumerated() {
            let rows = glyphs[character] ?? 0o71202
            for bit in 0..<15 where rows >> (14 - bit) & 1 == 1 {
                fill(
                    x: x + (index * 4 + bit % 3) * cell, y: y + bit / 3 * cell, width: cell,
                    height: cell, color)
            }
        }
    }

    /// The width in pixels of a text of this many characters.
    static func textWidth(_ count: Int, cell: Int) -> Int { max(count * 4 - 1, 0) * cell }

    /// A confusion matrix: a row for each true class, a column for each predicted one, darker
    /// the larger its share of the row, with the counts where there is room.
    package static func confusionMatrix(_ counts: [[Int]], classes: [String]) -> Image {
        let side = max(8, min(48, 1200 / max(classes.count, 1)))
        let names = classes.map { String($0.prefix(16)) }
        let labels = textWidth(names.map(\.count).max() ?? 0, cell: 2) + 12
        // Names fit over the columns only by number; the rows say which number is which.
        let numbers = names.indices.map { String($0 + 1) }
        let left = labels + textWidth(4, cell: 2) + 8
        let top = 36
        let extent = side * classes.count
        var image = Image(filling: .white, left + extent + 12, top + extent + 12)
        image.draw("true", x: 8, y: 8, cell: 2, .black)
        image.draw("predicted", x: left, y: 4, cell: 2, .black)
        let ink = Color(8, 48, 107)
        for (row, name) in names.enumerated() {
            let y = top + row * side
            if side >= 12 {
                image.draw(name, x: 8, y: y + side / 2 - 5, .black)
                image.draw(numbers[row], x: labels, y: y + side / 2 - 5, .black)
                image.draw(numbers[row], x: left + row * side + 2, y: 20, .black)
            }
            let line = row < counts.count ? counts[row] : []
            let total = max(line.reduce(0, +), 1)
            for column in names.indices {
                let count = column < line.count ? line[column] : 0
                let share = Double(count) / Double(total)
                let x = left + column * side
                image.fill(
                    x: x, y: y, width: side - 1, height: side - 1,
                    Color(247, 251, 255).mixed(with: ink, share))
                let text = String(count)
                let width = textWidth(text.count, cell: 2)
                if count > 0, width + 4 <= side, side >= 14 {
                    image.draw(
                        text, x: x + (side - width) / 2, y: y + side / 2 - 5,
                        share > 0.5 ? .white : .black)
                }
            }
        }
        return image
    }
}

/// Five rows of three cells each, an octal digit a row.
private let glyphs: [Character: Int] = [
    "0": 0o75557, "1": 0o26227, "2": 0o71747, "3": 0o71717, "4": 0o55711, "5": 0o74717,
    "6": 0o74757, "7": 0o71122, "8": 0o75757, "9": 0o75717, "A": 0o25755, "B": 0o65656,
    "C": 0o34443, "D": 0o65556, "E": 0o74647, "F": 0o74644, "G": 0o34553, "H": 0o55755,
    "I": 0o72227, "J": 0o11152, "K": 0o55655, "L": 0o44447, "M": 0o57755, "N": 0o65555,
    "O": 0o25552, "P": 0o65644, "Q": 0o25563, "R": 0o65655, "S": 0o34216, "T": 0o72222,
    "U": 0o55557, "V": 0o55552, "W": 0o55775, "X": 0o55255, "Y": 0o55222, "Z": 0o71247,
    ",": 0o00024, "(": 0o24442, ")": 0o21112, "+": 0o02720, "#": 0o57575,
    " ": 0, "-": 0o00700, "_": 0o00007, ".": 0o00002, "/": 0o11244, ":": 0o02020, "%": 0o51245,
]
