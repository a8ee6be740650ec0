// SPDX-License-Identifier: AGPL-3.0-or-later
// "Find similar cases" on the study and series pages of Orthanc Explorer.
(function () {
  function addButton(page, level, tag, parameter) {
    $(page).live('pagebeforecreate', function () {
      if ($(page + '-cbir').length) { return; }
      var item = $('<li>').attr('data-icon', 'search').append(
        $('<a>').attr('id', page.substring(1) + '-cbir').attr('href', '#').attr('rel', 'external')
          .text('Find similar cases').click(function (event) {
            event.preventDefault();
            // The tab is opened within the click: a pop-up blocker would refuse it afterwards.
            var tab = window.open('', '_blank');
            $.ajax({
              url: '../' + level + '/' + encodeURIComponent($.mobile.pageData.uuid),
              dataType: 'json',
              cache: false,
              success: function (resource) {
                var uid = resource.MainDicomTags[tag];
                if (!tab) { return; }
                tab.opener = null;
                tab.location.replace(new URL('../cbir/?' + parameter + '=' + encodeURIComponent(uid), location.href).href);
              },
              error: function () { if (tab) { tab.close(); } }
            });
          }));
      $(page + '-delete').closest('ul').append(item);
    });
  }
  addButton('#study', 'studies', 'StudyInstanceUID', 'study');
  addButton('#series', 'series', 'SeriesInstanceUID', 'series');
}());
