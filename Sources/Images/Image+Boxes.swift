// Boxes drawn into a picture, with a word on each.

extension Image {
    /// A colour for the class of this number; neighbours are told apart.
    package static func ink(_ number: Int) -> Color { inks[number % inks.count] }

    /// The width of a line that is seen in a picture of this size and hides little of it.
    package var lineWidth: Int { max(2, min(width, height) / 120) }

    /// Draws a box and, on its upper edge, a text on a ground of the same colour; inside the box where
    /// there is no room above it.
    package mutating func outline(_ box: Box, saying text: String, _ ink: Color) {
        outline(box, thickness: lineWidth, ink)
        let cell = max(1, (min(width, height) + 100) / 200)
        let (wide, high) = (Self.textWidth(text.count, cell: cell) + 2 * cell, 7 * cell)
        func pixel(_ at: Double, _ limit: Int) -> Int {
            at.isNaN ? 0 : Int(min(max(at.rounded(), 0), Double(max(limit, 0))))
        }
        let x = pixel(box.left, width - wide)
        let above = box.top.rounded() - Double(high)
        let y = pixel(above < 0 ? box.top : above, height - high)
        fill(x: x, y: y, width: wide, height: high, ink)
        draw(text, x: x + cell, y: y + cell, cell: cell, ink.isLight ? .black : .white)
    }
}

extension Color {
    /// Whether black is read better on it than white (luma of ITU-R BT.601).
    package var isLight: Bool {
        299 * Int(red) + 587 * Int(green) + 114 * Int(blue) > 140 * 1000
    }
}

private let inks = [
    Color(230, 25, 75), Color(60, 180, 75), Color(0, 130, 200), Color(245, 130, 48),
    Color(145, 30, 180), Color(240, 200, 20), Color(70, 200, 220), Color(240, 50, 230),
    Color(128, 64, 0), Color(170, 220, 60), Color(0, 0, 128), Color(128, 128, 128),
]
