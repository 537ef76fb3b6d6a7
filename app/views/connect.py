"""The connection dialog: the embedded engine, or a remote one with token and TLS. Main thread.

It only fills in a `Target`; the link connects. Tokens go to the system's keyring by app/targets.py.
"""

from __future__ import annotations

from PySide6.QtCore import Signal
from PySide6.QtWidgets import (
    QCheckBox,
    QComboBox,
    QDialog,
    QFileDialog,
    QFormLayout,
    QLineEdit,
    QWidget,
)

from app.targets import Target, check_address
from app.views.labels import button, column_of, label, row_of

WIDTH_PX = 520


class ConnectDialog(QDialog):
    """Asks where to connect."""

    accepted_target = Signal(object)

    def __init__(self, parent: QWidget, current: Target, recent: list[str]) -> None:
        super().__init__(parent)
        self.setWindowTitle("Connect to an engine")
        self.setMinimumWidth(WIDTH_PX)
        self.mode = QComboBox()
        self.mode.setAccessibleName("Engine")
        self.mode.addItem("Embedded: on this machine, ends with the window", "embedded")
        self.mode.addItem("Remote: an engine that runs elsewhere", "remote")
        self.address = QComboBox()
        self.address.setEditable(True)
        self.address.addItems(recent)
        self.address.setAccessibleName("Address, host:port")
        self.address.setCurrentText(current.address if current.mode == "remote" else "")
        line = self.address.lineEdit()
        if line is not None:
            line.setPlaceholderText("host:port")
        self.token = QLineEdit(current.token if current.mode == "remote" else "")
        self.token.setEchoMode(QLineEdit.EchoMode.Password)
        self.token.setAccessibleName("Token")
        self.token.setPlaceholderText("Not needed by an engine on loopback without tokens")
        self.remember = QCheckBox("Keep the token in the system's keyring")
        self.remember.setChecked(True)
        self.tls = QCheckBox("Encrypt with TLS")
        self.tls.setChecked(current.tls)
        self.ca = QLineEdit(current.ca)
        self.ca.setAccessibleName("Certificate of the authority")
        self.ca.setPlaceholderText("The system's authorities")
        self.error = label("", "error", wrap=True, name="What is wrong")
        self._remote = (self.address, self.token, self.remember, self.tls, self.ca)
        self._lay_out()
        self.mode.currentIndexChanged.connect(lambda _index: self._show_mode())
        self.address.currentTextChanged.connect(lambda _text: self._show_mode())
        self.tls.toggled.connect(lambda _on: self._show_mode())
        self.mode.setCurrentIndex(self.mode.findData(current.mode))
        self._show_mode()

    def _lay_out(self) -> None:
        self.browse = button("Browse…", self._browse, name="Choose the authority's certificate")
        form = QFormLayout()
        form.setHorizontalSpacing(16)
        form.setVerticalSpacing(12)
        form.addRow("Engine", self.mode)
        form.addRow("Address", self.address)
        form.addRow("Token", self.token)
        form.addRow("", self.remember)
        form.addRow("", self.tls)
        form.addRow("Authority (CA)", row_of(self.ca, self.browse))
        self.connect_button = button("Connect", self._accept, "primary")
        self.connect_button.setDefault(True)
        buttons = row_of(1, button("Cancel", self.reject), self.connect_button)
        self.setLayout(column_of(form, self.error, 1, buttons, margin=24, spacing=16))

    def target(self) -> Target:
        """What was filled in."""
        if self.mode.currentData() == "embedded":
            return Target()
        return Target(
            mode="remote",
            address=self.address.currentText().strip(),
            token=self.token.text().strip(),
            tls=self.tls.isChecked(),
            ca=self.ca.text().strip() if self.tls.isChecked() else "",
        )

    def _show_mode(self) -> None:
        remote = self.mode.currentData() == "remote"
        for widget in self._remote:
            widget.setEnabled(remote)
        encrypted = remote and self.tls.isChecked()
        self.ca.setEnabled(encrypted)
        self.browse.setEnabled(encrypted)
        problem = check_address(self.address.currentText().strip()) if remote else ""
        self.error.setText(problem if self.address.currentText() else "")
        self.error.setVisible(bool(self.error.text()))
        self.connect_button.setEnabled(not problem)

    def _accept(self) -> None:
        self.accepted_target.emit(self.target())
        self.accept()

    def _browse(self) -> None:
        dialog = QFileDialog(self, "The authority's certificate", "", "PEM (*.pem *.crt);;All (*)")
        dialog.fileSelected.connect(self.ca.setText)
        dialog.open()
