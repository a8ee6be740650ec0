// Dark like a reading room, light where the person prefers it; a choice is remembered. Runs before the page is drawn.

(function () {
  const KEY = "cbir-theme";
  const prefersLight = matchMedia("(prefers-color-scheme: light)");
  const stored = () => {
    try {
      return localStorage.getItem(KEY);
    } catch {
      return null;
    }
  };
  const apply = () => {
    document.documentElement.dataset.theme = stored() ?? (prefersLight.matches ? "light" : "dark");
  };
  prefersLight.addEventListener("change", apply);
  window.cbirTheme = {
    other: () => (document.documentElement.dataset.theme === "light" ? "dark" : "light"),
    choose(theme) {
      try {
        localStorage.setItem(KEY, theme);
      } catch {
        // A browser that keeps nothing shows the choice until the page is left.
      }
      document.documentElement.dataset.theme = theme;
    },
  };
  apply();
})();
